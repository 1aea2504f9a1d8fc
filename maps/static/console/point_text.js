// Coordinates as people paste them: decimals or degrees, minutes and seconds, in either order, with or without the words that say
// whose map they come from.

/** @typedef {"wgs84"|"gcj02"|"bd09"} CoordSys */

/** What people call the systems, and whose maps speak them. CGCS2000 is WGS84 for this purpose. @type {[CoordSys, RegExp][]} */
const SYSTEMS = [
  ["bd09", /bd[\s_-]?0?9(?:ll)?|百度(?:地图)?|baidu/i],
  ["gcj02", /gcj[\s_-]?(?:02)?|火星(?:坐标)?|高德(?:地图)?|腾讯(?:地图)?|微信|amap|tencent|wechat/i],
  ["wgs84", /wgs[\s_-]?(?:84)?|cgcs[\s_-]?(?:2000)?|国家\s?2000|epsg:?\s?4(?:326|490)|天地图|tianditu|gps|北斗/i],
];
const LABELS = /latitude|longitude|lat|lng|lon|point|经度|纬度|坐标|[xy](?=\s*[:=])/gi;
const EAST_OR_NORTH = /(?<=[\d°])\s*[NE](?=[\s,，;；]|$)/gi;
/** Two decimal numbers with little between them; a third one makes it something else. */
const DECIMALS = /^\D{0,12}?(-?\d{1,3}(?:\.\d+)?)°?\s*[,，;；:=\s"')\]]+\s*(-?\d{1,3}(?:\.\d+)?)°?\D{0,4}$/;
const SIDE = "[NSEWnsew]|东经|西经|北纬|南纬|东|西|北|南";
const SIZE = "(\\d{1,3})\\s*[°度º]\\s*(?:(\\d{1,2}(?:\\.\\d+)?)\\s*['′’分]\\s*)?(?:(\\d{1,2}(?:\\.\\d+)?)\\s*(?:[\"″”秒]|'')\\s*)?";
/** The side stands before or behind, never both: the one behind the first could belong to the second. */
const ANGLE = new RegExp(`(${SIDE})\\s*${SIZE}|${SIZE}(${SIDE})?`, "g");

/**
 * Longitude first; the other order where only that is a place on earth, or in China.
 * @param {string} typed
 * @returns {{at: [number, number], coordSys: CoordSys|null}|null} `coordSys` null when nothing says whose coordinates they are
 */
export function pointOf(typed) {
  let text = typed.trim();
  /** @type {CoordSys|null} */
  let coordSys = null;
  for (const [name, words] of SYSTEMS) {
    if (!words.test(text)) continue;
    coordSys = name;
    text = text.replace(words, " ");
    break;
  }
  text = text.replace(LABELS, " ").trim();
  const at = angles(text) ?? decimals(text.replace(EAST_OR_NORTH, " "));
  return at && { at, coordSys };
}

/**
 * @param {string} text
 * @returns {[number, number]|null}
 */
function decimals(text) {
  const found = DECIMALS.exec(text);
  if (!found || !text.includes(".")) return null;
  return inOrder(Number(found[1]), Number(found[2]));
}

/**
 * @param {string} text
 * @returns {[number, number]|null}
 */
function angles(text) {
  const found = [...text.matchAll(ANGLE)];
  const [first, second] = found.map((one) => {
    const side = (one[1] ?? one[8] ?? "").toLowerCase();
    const size = Number(one[2] ?? one[5]) + Number(one[3] ?? one[6] ?? 0) / 60 + Number(one[4] ?? one[7] ?? 0) / 3600;
    return { value: /^[sw西南]/.test(side) ? -size : size, isLat: /^[ns北南]/.test(side), isKnown: side !== "" };
  });
  if (!first || !second || found.length !== 2) return null;
  // Decimal degrees with a sign behind them are decimals.
  if (found.some((one) => text.charAt((one.index ?? 0) - 1) === ".")) return null;
  if (first.isKnown && second.isKnown && first.isLat !== second.isLat) {
    const [lon, lat] = first.isLat ? [second.value, first.value] : [first.value, second.value];
    return Math.abs(lon) <= 180 && Math.abs(lat) <= 90 ? [lon, lat] : null;
  }
  return inOrder(first.value, second.value);
}

/**
 * @param {number} first
 * @param {number} second
 * @returns {[number, number]|null}
 */
function inOrder(first, second) {
  const isSwapped = Math.abs(second) > 90 || (first > 0 && first < 54 && second > 73 && second < 136);
  const [lon, lat] = isSwapped ? [second, first] : [first, second];
  return Math.abs(lon) <= 180 && Math.abs(lat) <= 90 ? [lon, lat] : null;
}
