"""What happens between a flat mark and its picture: ink, paper, light, optics, scanners."""
