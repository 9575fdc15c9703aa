import { isTcomposeError } from '../../base/errors.ts'
import { run } from '../../platform/exec.ts'
import { nft, nftListing } from '../../platform/nft.ts'

/** Docker leaves this chain to others; its FORWARD policy is drop, which an accept in a table of ours does not undo. */
const DOCKER_CHAINS = ['ip filter DOCKER-USER', 'ip6 filter DOCKER-USER']

/**
 * Where dockerd or firewalld drop what they do not know, lets the traffic of a bridge pass there too: our own table has
 * decided about it already. Hosts without them are asked by three messages to a kept process.
 */
export async function openForeignFirewalls(bridge: string): Promise<void> {
  for (const chain of DOCKER_CHAINS) {
    const listing = await chainListing(chain)
    if (listing === undefined || listing.includes(`"${bridge}"`)) continue
    await nft([
      `insert rule ${chain} oifname "${bridge}" counter accept`,
      `insert rule ${chain} iifname "${bridge}" counter accept`,
    ])
  }
  if (await hasFirewalld()) await run('firewall-cmd', ['--zone=trusted', `--change-interface=${bridge}`])
}

/** Undoes `openForeignFirewalls`. */
export async function closeForeignFirewalls(bridge: string): Promise<void> {
  for (const chain of DOCKER_CHAINS) {
    const listing = await chainListing(chain)
    if (!listing?.includes(`"${bridge}"`)) continue
    const rules = listing.split('\n').filter((line) => new RegExp(`^\\s*[io]ifname "${bridge}" `).test(line))
    await nft(
      rules.flatMap((rule) => {
        const handle = /# handle (\d+)/.exec(rule)?.[1]
        return handle === undefined ? [] : [`delete rule ${chain} handle ${handle}`]
      }),
    )
  }
  if (await hasFirewalld()) {
    await run('firewall-cmd', ['--zone=trusted', `--remove-interface=${bridge}`], { okCodes: [0, 1, 2, 13, 254] })
  }
}

async function chainListing(chain: string): Promise<string | undefined> {
  return (await exists(chain)) ? await nftListing(['chain', ...chain.split(' ')]) : undefined
}

async function hasFirewalld(): Promise<boolean> {
  return await exists('inet firewalld filter_FORWARD')
}

async function exists(chain: string): Promise<boolean> {
  try {
    await nft([`list chain ${chain}`])
    return true
  } catch (error) {
    if (isTcomposeError(error, 'NOT_FOUND')) return false
    throw error
  }
}
