"""Nothing is lost: real processes on services of their own, killed in every way, and counted at the receiver."""
