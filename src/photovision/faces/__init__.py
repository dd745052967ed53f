"""Faces of people who agreed: found, compared, kept in a register, and covered in pictures and videos."""
