/**
 * Called between any two acts that a crash could part, with a name for the place. Does nothing; a test puts in
 * something that kills the process there.
 */
export type StepHook = (step: string) => void
