// Shapes of what the service sends; see the OpenAPI document for the authority.

/**
 * @typedef {"green"|"yellow"|"red"|"supervised"|"suspended"|"none"} Light
 * @typedef {"to_dispatch"|"out_of_grid"|"due_soon"|"returned"|"all"} Inbox
 */

/**
 * @typedef {object} CellRef
 * @property {number} level
 * @property {string} code
 * @property {string} name
 */

/**
 * @typedef {object} Holder
 * @property {string} post
 * @property {"A"|"B"} rank
 * @property {string|null} name null when the post is vacant
 * @property {string|null} [person] whose phone may be asked for
 * @property {boolean} [on_duty]
 * @property {string} [why] only of the responsible one
 * @property {string} [why_code]
 */

/**
 * @typedef {object} Case
 * @property {string} case
 * @property {number} version
 * @property {string} status
 * @property {{code: string, name: string}} category
 * @property {number|null} condition
 * @property {string} channel
 * @property {string} channel_name
 * @property {string} ticket
 * @property {string} text
 * @property {string} address
 * @property {string} reported_at
 * @property {string|null} due_at
 * @property {{value: string, unit: string}|null} [limit] what the deadline was counted from
 * @property {string|null} [warn_at] when the light turns yellow
 * @property {string|null} dispatched_at
 * @property {string|null} acknowledged_at
 * @property {string|null} handled_at
 * @property {string|null} closed_at
 * @property {Light} light
 * @property {CellRef[]} chain
 * @property {Holder|null} head
 * @property {{lon: number, lat: number}|null} location
 * @property {boolean} out_of_grid
 * @property {{code: string, name: string, distance_m: number}[]} nearest
 * @property {string[]} ledgers
 * @property {string[]} ledger_names
 */

/**
 * @typedef {object} CaseEvent
 * @property {number} seq
 * @property {string} type
 * @property {string[]} moves
 * @property {string} at
 * @property {string|null} actor
 * @property {string|null} text
 */

/** @typedef {{reason: string|null, candidates: (CellRef & {share: number})[]}} Accuracy the cells a position may lie in */

/**
 * @typedef {object} Leg one department's part of joint work
 * @property {number} leg
 * @property {string} department_name
 * @property {string} status_name
 * @property {string} task
 * @property {string} due_at
 * @property {{name: string}|null} head
 */

/** @typedef {Case & {accuracy?: Accuracy|null, events: CaseEvent[], moves: string[], backup?: Holder|null, why?: string[], legs?: Leg[]}} CaseDetail */

/**
 * @typedef {object} NearCase
 * @property {string} case
 * @property {string} status
 * @property {{code: string, name: string}} category
 * @property {string} channel_name
 * @property {string} reported_at
 * @property {number} distance_m
 */

/**
 * @typedef {object} Nearby
 * @property {string} case
 * @property {NearCase[]} duplicates
 * @property {{count: number, days: number|null, is_repeat_site: boolean, is_one_channel: boolean, channels: {name: string, count: number}[], callers: {known: number, unknown: number, is_one: boolean}|null, history: NearCase[]}} repeats
 * @property {NearCase[]} look_back
 * @property {NearCase[]} reported_again
 */

/** @typedef {{state: string, owner: {post: string, rank: string, name: string|null}|null, due_at: string|null}} Foreseen what would become of a case */

/** @typedef {{case: string, status: number, version: number|null, code: string|null, detail: string|null, foreseen?: Foreseen}} Outcome of one case in a bulk move */

/** @typedef {{case: string, count: number, is_repeat_site: boolean, look_back: string[]}} RepeatSite */

/** @typedef {{case: string, holder: Holder, lines: string[]}} Suggestion who would get a case, and why */

/** @typedef {{id: string, kind: string, url: string, preview_url: string, added_at: string}} Photo */

/** @typedef {{case: string, name: string, phone: string, email: string, anonymous: boolean, follow_up: boolean, erased_at: string|null, may_reveal: boolean}} Reporter who reported, masked */

/**
 * @typedef {object} DeadlineLedger
 * @property {{value: string, unit: string, text: string}} limit
 * @property {string} start_at
 * @property {string} due_at
 * @property {boolean} due_provisional
 * @property {{kind: string, text: string, begins_at: string, ends_at: string, counted_s: number, is_provisional: boolean}[]} ledger
 * @property {{kind: string, at: string, reason: string, due_before: string, due_after: string}[]} approvals
 * @property {boolean} agrees
 */

/**
 * @typedef {object} Location
 * @property {CellRef[]} chain
 * @property {Holder|null} head
 * @property {Holder|null} backup
 * @property {string} how
 * @property {{number: number, name: string}|null} grid_version
 * @property {string} rule
 * @property {{lon: number, lat: number}} location
 * @property {{code: string, name: string, distance_m: number}[]} nearest
 */

/**
 * @typedef {object} CellProperties
 * @property {string} code
 * @property {string} name
 * @property {number} level
 * @property {[number, number]} label
 */

/**
 * @typedef {object} Config
 * @property {string} place
 * @property {string} time_zone
 * @property {[number, number]|null} centre
 * @property {number} page_size
 */

export {};
