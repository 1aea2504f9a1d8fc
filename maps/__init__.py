"""What people see: live map, Folium maps, statistics (floor 3)."""
