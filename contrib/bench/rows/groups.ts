/** All groups, in the order of the report. */
import type { Group } from '../row.ts'
import { start } from './start.ts'

export const groups: readonly Group[] = [start]
