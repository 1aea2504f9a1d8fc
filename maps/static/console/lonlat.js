// GeoJSON says (lon, lat), Leaflet (lat, lon).

/**
 * The only place of the pages where the two are swapped.
 * @param {readonly [number, number]|readonly number[]} lonLat
 * @returns {L.LatLng}
 */
export function latLngOf(lonLat) {
  return L.latLng(lonLat[1] ?? 0, lonLat[0] ?? 0);
}
