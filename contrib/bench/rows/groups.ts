/** All groups, in the order of the report. */
import type { Group } from '../row.ts'
import { exec } from './exec.ts'
import { idle } from './idle.ts'
import { many } from './many.ts'
import { start } from './start.ts'

export const groups: readonly Group[] = [start, exec, many, idle]
