"""A day at a broker's sandbox: the real adapter under the real engine, and a venue that goes wrong."""
