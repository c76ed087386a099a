"""What objects of a namespace may ask of the engine's host: mounts, images, ports, patches. The operator's file, and the decision. Pure."""
