"""What users write and read: models, conditions, names. Pure data: no I/O, no clock."""
