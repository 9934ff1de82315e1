"""Write a network as a self-delimiting string of bytes, and read it back; a certificate counts these bytes."""
