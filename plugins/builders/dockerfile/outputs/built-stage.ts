import type { Platform } from '#api/types/platform.ts'
import type { StageState } from '../solve/stage-state.ts'

/** The target stage at its end, for one platform. */
export interface BuiltStage {
  readonly platform: Platform
  readonly state: StageState
}
