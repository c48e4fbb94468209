/** Called where a crash could part two acts: tests die there. */
export type StepHook = (step: string) => void

export const noStep: StepHook = () => {}
