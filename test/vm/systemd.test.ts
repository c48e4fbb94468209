/** Containers in groups that systemd makes, as transient scopes. */
import { containerSuite } from './container-suite.ts'

containerSuite('systemd')
