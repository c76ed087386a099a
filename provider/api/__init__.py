"""What users write and read: the kinds (v1alpha1), their CEL rules, conditions, names. Pure data: no I/O, no clock.

Where is what: v1alpha1/ the kinds; rules/ CEL; markers.py what a field says besides its shape; customresource.py definitions of kinds;
condition_types.py and conditions.py types and reasons; names.py, contract.py and kind.py names that we, Cluster API and kind chose.
"""
