"""What a run may do: grants, and the operator's policy that they come from. Pure."""
