"""EM2Cryo: pseudo-3D yeast cells from SEM and TEM, judged against cryo-ET."""
