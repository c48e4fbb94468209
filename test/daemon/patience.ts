/** Time limits of tests, for machines of every speed. */

/**
 * GANTRY_TEST_PATIENCE multiplies every limit on what a machine may take; 1 without it. An emulated machine asks
 * for 10.
 */
export const patience = Math.max(1, Number(process.env.GANTRY_TEST_PATIENCE) || 1)
