/** Containers in groups that the runtime makes itself. */
import { containerSuite } from './container-suite.ts'

containerSuite('cgroupfs')
