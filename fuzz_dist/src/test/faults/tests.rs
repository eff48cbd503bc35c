//! The owner of the faults, against faults that hang, panic, block and refuse.
