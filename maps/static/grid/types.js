// Shapes of what the service sends about grid versions; see the OpenAPI document for the authority.

/**
 * @typedef {"draft"|"scheduled"|"active"|"retired"} VersionStatus
 * @typedef {"error"|"warning"|"notice"} Severity
 * @typedef {[number, number]} LonLat
 * @typedef {GeoJSON.Polygon|GeoJSON.MultiPolygon} Areal
 */

/**
 * @typedef {object} Version
 * @property {number} number
 * @property {string} name
 * @property {VersionStatus} status
 * @property {string|null} valid_from
 * @property {string|null} valid_until
 * @property {string} code_system
 * @property {string} source
 * @property {string|null} created_at
 * @property {number} revision counts the changes of a draft
 * @property {number|null} based_on
 * @property {Record<string, number>} cells how many per level
 */

/**
 * @typedef {object} Cell
 * @property {string} code
 * @property {string} name
 * @property {string} name_zh
 * @property {string} name_en
 * @property {number} level
 * @property {string} kind
 * @property {string|null} parent
 * @property {number|null} population
 * @property {number} area_m2
 * @property {LonLat} label
 */

/** @typedef {GeoJSON.Feature<Areal, Cell>} CellFeature */

/**
 * @typedef {object} Finding
 * @property {number} number place in the list, the worst is 1
 * @property {string} class
 * @property {Severity} severity
 * @property {boolean} is_sliver
 * @property {number} area_m2
 * @property {string|null} parent
 * @property {string[]} cells
 * @property {LonLat} position
 * @property {[number, number, number, number]} bbox
 * @property {string} sentence
 */

/**
 * @typedef {object} CoverageFigures
 * @property {boolean} is_proven
 * @property {number} families
 * @property {number} findings
 * @property {number} below_tolerance
 * @property {number} tolerance_m2
 * @property {Record<string, {count: number, area_m2: number}>} by_class
 */

/**
 * @typedef {object} CodeFaults codes that break the version's code system
 * @property {number} count
 * @property {{cell: string, code: string, detail: string}[]} faults
 */

/** @typedef {GeoJSON.FeatureCollection<GeoJSON.Geometry, Finding> & {coverage: CoverageFigures, codes: CodeFaults, matched: number}} Coverage */

/**
 * @typedef {object} Repair
 * @property {number} number
 * @property {string} id stands for the very change that is shown
 * @property {"snap"|"assign_sliver"} kind
 * @property {number} moved_m2
 * @property {{code: string, level: number, gained_m2: number, lost_m2: number}[]} cells
 * @property {LonLat} position
 * @property {[number, number, number, number]} bbox
 * @property {string} sentence
 * @property {GeoJSON.Geometry} geometry
 */

/** @typedef {GeoJSON.FeatureCollection<GeoJSON.Geometry, Omit<Repair, "geometry">> & {matched: number}} Repairs */

/** @typedef {"added"|"removed"|"redrawn"|"renamed"|"reparented"} DifferenceKind */

/**
 * @typedef {object} Difference
 * @property {DifferenceKind} kind
 * @property {string} code
 * @property {number} level
 * @property {string|null} before what was there, where a word changed
 * @property {string|null} after
 * @property {number|null} changed_m2 area that came or went
 * @property {Areal} [gained]
 * @property {Areal} [lost]
 */

/** @typedef {"split"|"merge"|"move_boundary"|"reassign"|"retire"|"edit"} Tool */

/** @typedef {{code: string, name_zh: string, name_en: string, kind: string, children?: string[]}} NewCell */

/**
 * @typedef {{operation: "split", cell: string, line?: LonLat[], into: NewCell[]}
 *   | {operation: "merge", cells: string[], into: NewCell}
 *   | {operation: "move_boundary", cells: string[], line: LonLat[]}
 *   | {operation: "reassign", cell: string, parent: string}
 *   | {operation: "retire", cell: string, to: string}
 *   | {operation: "edit", cell: string, set: Record<string, string>}} Change
 */

/**
 * @typedef {object} Preview
 * @property {CellFeature[]} cells made or changed, the ones asked for first
 * @property {{code: string, name: string}[]} removed
 * @property {number} below how many further cells get new vertices, parents or paths
 */

/**
 * @typedef {object} AffectedCase
 * @property {string} case
 * @property {string} status
 * @property {{lon: number, lat: number}|null} location
 * @property {{before: string|null, after: string|null}} cell
 * @property {{before: string|null, after: string|null}} parent
 * @property {{before: string|null, after: string|null}} head
 */

/** @typedef {{revision: number, operation: string, from: string, to: string, share: number}} Descent */

/** @typedef {{count: number, cases: AffectedCase[]}} Effect */

/** @typedef {import("../console/types.js").Config & {version: number|null, may_write: boolean}} GridConfig */

/** @typedef {"overview"|"coverage"|"compare"|"redraw"|"activate"} Tab */

export {};
