import { openNetworkPlugin } from '#sdk/define-network.ts'
import { networkSuite } from '#sdk/network-suite.ts'
import { host } from './host.ts'

networkSuite('host', {
  ownNamespace: false,
  open: root => openNetworkPlugin(host, { root }),
})
