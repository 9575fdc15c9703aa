import { listLinks } from '../../platform/ip.ts'
import { withLock } from '../../platform/lock.ts'
import { HOST_LOCK, hasBridge, makeLink, type NetworkContext } from './context.ts'
import { doomLinks } from './doomed-links.ts'
import { closeForeignFirewalls, openForeignFirewalls } from './foreign-firewall.ts'
import { bridgeAlias, deleteLinks, hostLinkPrefix } from './links.ts'

/**
 * Makes the kernel agree with the records: bridges that are missing (after a boot) are made, those of networks that
 * have gone are deleted, so are links without endpoint, and the rules become what the records say.
 */
export async function reconcileNetworks(context: NetworkContext): Promise<void> {
  const { store, instance, firewall } = context
  await withLock(HOST_LOCK.scope, HOST_LOCK.name, async () => {
    const wanted = store.all().filter((network) => hasBridge(store, network))
    const bridges = await listLinks('bridge')
    const names = new Set(bridges.map((link) => link.ifname))
    const stale = bridges.filter(
      (link) =>
        link.ifalias?.startsWith(bridgeAlias(instance, '')) &&
        !wanted.some((network) => network.bridge === link.ifname),
    )
    await doomLinks(stale.map((link) => link.ifname))
    for (const link of stale) await closeForeignFirewalls(link.ifname)
    if (wanted.length === 0) return await firewall.drop()
    for (const network of wanted) {
      if (!names.has(network.bridge)) await makeLink(context, network)
      if (network.driver === 'bridge') await openForeignFirewalls(network.bridge)
    }
    await firewall.restore()
    await deleteStray(context, new Set(wanted.map((network) => network.bridge)))
  })
}

/** Host ends on our bridges of endpoints that no record has. */
async function deleteStray({ store }: NetworkContext, bridges: ReadonlySet<string>): Promise<void> {
  const known = new Set(
    store.endpoints().map(({ containerId, endpoint }) => hostLinkPrefix(containerId, endpoint.networkId)),
  )
  const links = await listLinks('veth')
  await deleteLinks(
    links
      .filter((link) => link.master !== undefined && bridges.has(link.master) && !known.has(link.ifname.slice(0, 11)))
      .map((link) => link.ifname),
  )
}
