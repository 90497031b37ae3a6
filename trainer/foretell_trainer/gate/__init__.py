"""The gate: no new bundle takes over that is worse than the current one."""
