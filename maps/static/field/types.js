// Shapes of what the field page is given and keeps. Types only.

/**
 * @typedef {{lon: number, lat: number}} Point
 * @typedef {{leg: number, version: number, department_name: string, task: string, status: string, status_name: string, due_at: string, moves: string[]}} Leg
 * @typedef {{
 *   case: string, version: number, status: string, light: string, category: {code: string, name: string}, text: string,
 *   address: string, due_at: string|null, due_provisional: boolean, acknowledged_at: string|null, handled_at: string|null,
 *   reported_at: string, suspended_until: string|null, location: Point|null, accuracy_m: number|null,
 *   confirm_on_site: boolean, out_of_grid: boolean, asked: string|null, supervised_until: string|null, returns: number, limit: {value: string, unit: string}|null,
 *   cell: string|null, place: string[], head: string|null, is_mine: boolean, moves: string[], legs: Leg[],
 *   gcj02: Point|null,
 * }} FieldCase
 * @typedef {{id: string, name: string, roles: string[], areas: string[]}} Person
 * @typedef {{person: Person, cases: FieldCase[], more: boolean, as_of: string, may_record: boolean, categories: {code: string, name: string}[]}} Day
 * @typedef {{code: string, level: number, name: string, shape: number[][][][], is_own: boolean}} Cell
 * @typedef {{lon: number, lat: number, coord_sys: "wgs84"}} Position
 * @typedef {{
 *   kind: "move"|"leg"|"photos"|"self_handled", case?: string, move?: string, leg?: number, reason?: string, result?: string,
 *   position?: Position, accuracy_m?: number, until?: string, category?: string, text?: string, address?: string,
 * }} Deed what somebody did
 * @typedef {{version: number, status: string, due_at: string|null, head: string|null, text: string, as_of: string}} Seen the case as it looked then
 * @typedef {{status: number, code: string, detail: string}} Problem
 * @typedef {{key: string, case: string, version: number, status: string, moves: string[], photos: number, leg_version: number|null, evidence: {relation_name: string, distance_m: number|null, cell_name: string|null}|null}} Done
 * @typedef {{version: number, status: string, due_at: string|null, head: {name: string|null}|null, text: string, moves: string[], events: {at: string, actor: string, type: string, moves: string[], text: string}[]}} Now
 * @typedef {{
 *   id: string, n?: number, person: string, by: string, done_at: string, deed: Deed, photos: Blob[], after: string|null,
 *   seen: number|null, was: Seen|null, title: string, state: "waiting"|"conflict"|"refused"|"done", sent: string|null,
 *   tries: number, problem: Problem|null, now: Now|null, result: Done|null, ended_at: string|null,
 * }} Entry one act on its way
 */

export {};
