import { openNetworkPlugin } from '#sdk/define-network.ts'
import { networkSuite } from '#sdk/network-suite.ts'
import { none } from './none.ts'

networkSuite('none', {
  ownNamespace: true,
  open: root => openNetworkPlugin(none, { root }),
})
