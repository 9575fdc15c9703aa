import { run } from '../../platform/exec.ts'
import { nft, nftHas, nftListing } from '../../platform/nft.ts'

/** Docker leaves this chain to others; its FORWARD policy is drop, which an accept in a table of ours does not undo. */
const DOCKER_CHAINS = ['ip filter DOCKER-USER', 'ip6 filter DOCKER-USER']

/**
 * Where dockerd or firewalld drop what they do not know, lets the traffic of a bridge pass there too: our own table has
 * decided about it already.
 */
export async function openForeignFirewalls(bridge: string): Promise<void> {
  await Promise.all([...DOCKER_CHAINS.map((chain) => openChain(chain, bridge)), trustInterface(bridge)])
}

async function openChain(chain: string, bridge: string): Promise<void> {
  const listing = await chainListing(chain)
  if (listing === undefined || listing.includes(`"${bridge}"`)) return
  await nft([
    `insert rule ${chain} oifname "${bridge}" counter accept`,
    `insert rule ${chain} iifname "${bridge}" counter accept`,
  ])
}

async function trustInterface(bridge: string): Promise<void> {
  if (await hasFirewalld()) await run('firewall-cmd', ['--zone=trusted', `--change-interface=${bridge}`])
}

/** Undoes `openForeignFirewalls`. */
export async function closeForeignFirewalls(bridge: string): Promise<void> {
  await Promise.all([...DOCKER_CHAINS.map((chain) => closeChain(chain, bridge)), forgetInterface(bridge)])
}

async function closeChain(chain: string, bridge: string): Promise<void> {
  const listing = await chainListing(chain)
  if (!listing?.includes(`"${bridge}"`)) return
  const rules = listing.split('\n').filter((line) => new RegExp(`^\\s*[io]ifname "${bridge}" `).test(line))
  await nft(
    rules.flatMap((rule) => {
      const handle = /# handle (\d+)/.exec(rule)?.[1]
      return handle === undefined ? [] : [`delete rule ${chain} handle ${handle}`]
    }),
  )
}

/** An interface it has forgotten already is no failure. */
async function forgetInterface(bridge: string): Promise<void> {
  if (!(await hasFirewalld())) return
  await run('firewall-cmd', ['--zone=trusted', `--remove-interface=${bridge}`], { okCodes: [0, 1, 2, 13, 254] })
}

async function chainListing(chain: string): Promise<string | undefined> {
  return (await nftHas(`chain ${chain}`)) ? await nftListing(['chain', ...chain.split(' ')]) : undefined
}

async function hasFirewalld(): Promise<boolean> {
  return await nftHas('chain inet firewalld filter_FORWARD')
}
