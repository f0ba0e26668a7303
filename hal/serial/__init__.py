"""Serial ports through pyserial."""
