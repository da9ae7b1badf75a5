//! Protocol-faithful stand-ins of the far sides, with scripted faults
