import { readlinkSync } from 'node:fs'
import { expect } from 'vitest'
import { eventually } from '../../support/eventually.ts'
import { attributeTests, type Seen } from './attribute-lab.ts'

// Subnets out of what documentation and benchmarks have for themselves, one for each run.
const third = process.pid % 250
const SUBNET = `198.18.${third}`
const RESERVED = `198.19.${third}`
const V6 = `fd6b:7c${(process.pid % 256).toString(16).padStart(2, '0')}:${third.toString(16)}:1`
const id = `tcta${process.pid}`
const netns = (pid: number | 'self'): string => readlinkSync(`/proc/${pid}/ns/net`)
const other = async ({ work }: Seen, service: string) => {
  const found = (await (await work.engine()).containers.list()).find(
    (one) => one.labels['com.docker.compose.service'] === service,
  )
  if (!found) throw new Error(`no container of ${service}`)
  return found
}
const resolves = (names: string): string =>
  `for n in ${names}; do i=0; until getent hosts $n >/dev/null 2>&1 || nslookup $n 2>/dev/null | grep -q '^Name:' || [ $i = 50 ]; do i=$((i+1)); sleep 0.2; done; [ $i = 50 ] && echo "no $n" || echo "$n"; done`

attributeTests({
  prepare: async (work) => {
    const engine = await work.engine()
    await engine.networks.create({ name: `${id}-out`, driver: 'bridge' })
  },
  file: {
    networks: {
      fixed: {
        enable_ipv6: true,
        ipam: {
          config: [
            { subnet: `${SUBNET}.0/24`, gateway: `${SUBNET}.7`, ip_range: `${SUBNET}.128/25` },
            { subnet: `${V6}::/64` },
          ],
        },
        labels: { made: 'here' },
      },
      closed: { internal: true },
      six: { enable_ipv4: false, enable_ipv6: true, ipam: { config: [{ subnet: `${V6.slice(0, -1)}2::/64` }] } },
      second: { driver: 'bridge', driver_opts: { 'com.docker.network.driver.mtu': 1380 } },
      reserved: {
        ipam: {
          driver: 'default',
          config: [{ subnet: `${RESERVED}.0/29`, aux_addresses: { a: `${RESERVED}.2`, b: `${RESERVED}.3` } }],
        },
      },
      out: { external: true, name: `${id}-out` },
    },
  },
  cases: [
    {
      name: 'networks: static addresses, mac_address and interface_name',
      service: {
        networks: {
          fixed: {
            ipv4_address: `${SUBNET}.9`,
            ipv6_address: `${V6}::99`,
            mac_address: '02:42:aa:bb:cc:dd',
            interface_name: 'wan7',
          },
        },
      },
      probe: 'ip addr show wan7; ip route; ip -6 addr show wan7',
      seen: ({ inside }) => {
        expect(inside).toContain(`${SUBNET}.9/24`)
        expect(inside).toContain(`${V6}::99/64`)
        expect(inside).toContain('02:42:aa:bb:cc:dd')
        expect(inside).toContain(`default via ${SUBNET}.7`)
      },
    },
    {
      name: 'networks: ipam ip_range',
      service: { networks: ['fixed'] },
      seen: ({ container }) => expect(Number(container.endpoints[0]?.ipv4.split('.')[3])).toBeGreaterThanOrEqual(128),
    },
    {
      name: 'networks: internal has no way out',
      service: { networks: ['closed'] },
      probe: 'ip route | grep -c default',
      seen: '0',
    },
    {
      name: 'networks: external',
      service: { networks: ['out'] },
      seen: ({ container }) => expect(container.endpoints[0]?.networkName).toBe(`${id}-out`),
    },
    {
      name: 'networks: gw_priority chooses the way out',
      service: { networks: { fixed: { gw_priority: 1 }, second: { gw_priority: 9 } } },
      probe: 'ip route | grep default',
      seen: async (seen) => {
        const second = seen.container.endpoints.find((one) => one.networkName.endsWith('_second'))
        expect(seen.inside).toContain(`default via ${second?.ipv4Gateway}`)
      },
    },
    {
      name: 'networks: priority orders the interfaces',
      service: { networks: { fixed: { priority: 1 }, second: { priority: 1000 } } },
      probe: 'ip -4 -o addr show eth0',
      seen: async ({ inside, container }) =>
        expect(inside).toContain(`${container.endpoints.find((one) => one.networkName.endsWith('_second'))?.ipv4}/`),
    },
    {
      name: 'networks: aliases are names',
      service: { networks: { second: { aliases: ['nickname'] } } },
      probe: resolves('nickname s6'),
      seen: 'nickname\ns6',
    },
    {
      name: 'links and their aliases',
      service: { networks: ['second'], links: ['s6:linked'] },
      probe: resolves('linked s6'),
      seen: 'linked\ns6',
    },
    {
      name: 'network_mode: none',
      service: { network_mode: 'none' },
      probe: 'ls /sys/class/net',
      seen: 'lo',
    },
    {
      name: 'network_mode: host',
      service: { network_mode: 'host' },
      seen: ({ container }) => expect(netns(container.state.pid)).toBe(netns('self')),
    },
    {
      name: 'network_mode: of another service',
      service: { network_mode: 'service:s8' },
      seen: async (seen) => expect(netns(seen.container.state.pid)).toBe(netns((await other(seen, 's8')).state.pid)),
    },
    {
      name: 'network_mode: of a container by name',
      service: { network_mode: `container:${id}-peer`, depends_on: ['s12'] },
      seen: async (seen) => expect(netns(seen.container.state.pid)).toBe(netns((await other(seen, 's12')).state.pid)),
    },
    {
      name: 'network_mode: bridge is the network of the engine',
      service: { network_mode: 'bridge', container_name: `${id}-peer` },
      seen: ({ container }) => expect(container.endpoints.map((one) => one.networkName)).toEqual(['bridge']),
    },
    {
      name: 'dns, dns_search and dns_opt',
      service: {
        network_mode: 'bridge',
        dns: ['192.0.2.53', '192.0.2.54'],
        dns_search: ['example.test'],
        dns_opt: ['ndots:3'],
      },
      probe: 'grep -v "^#" /etc/resolv.conf',
      seen: ({ inside }) => {
        expect(inside).toContain('nameserver 192.0.2.53\nnameserver 192.0.2.54')
        expect(inside).toContain('search example.test')
        expect(inside).toMatch(/options .*ndots:3/)
      },
    },
    {
      name: 'extra_hosts, with host-gateway',
      service: {
        networks: ['fixed'],
        extra_hosts: ['db.test=192.0.2.5', 'six.test=[2001:db8::5]', 'me.test:host-gateway'],
      },
      probe: 'grep test /etc/hosts',
      seen: ({ inside }) => {
        expect(inside).toMatch(/^192\.0\.2\.5\s+db\.test$/m)
        expect(inside).toMatch(/^2001:db8::5\s+six\.test$/m)
        expect(inside).toMatch(/^\d+\.\d+\.\d+\.\d+\s+me\.test$/m)
      },
    },
    {
      name: 'ports: a free one, an address, a protocol, a range',
      service: {
        networks: ['second'],
        ports: ['80', '127.0.0.1::81', { target: 82, protocol: 'udp', host_ip: '127.0.0.1' }, '90-91'],
        command: ['sh', '-c', 'echo served > /tmp/index.html; exec httpd -f -p 81 -h /tmp'],
      },
      seen: async ({ container }) => {
        const port = (target: number) => container.ports.find((one) => one.containerPort === target)
        for (const target of [80, 90, 91]) expect(port(target)?.hostPort).toBeGreaterThan(0)
        expect(port(81)?.hostIp).toBe('127.0.0.1')
        expect(port(82)).toMatchObject({ protocol: 'udp', hostIp: '127.0.0.1' })
        const text = await eventually(async () =>
          (await fetch(`http://127.0.0.1:${port(81)?.hostPort}/`, { signal: AbortSignal.timeout(5000) })).text(),
        )
        expect(text).toBe('served\n')
      },
    },
    {
      name: 'expose',
      service: { networks: ['second'], expose: ['7000', '7001-7002/udp'] },
      seen: ({ container }) =>
        expect(container.config.exposedPorts).toEqual(expect.arrayContaining(['7000/tcp', '7001/udp', '7002/udp'])),
    },
    {
      name: 'mac_address of the service',
      service: { networks: ['second'], mac_address: '02:42:11:22:33:44' },
      probe: 'cat /sys/class/net/eth0/address',
      seen: '02:42:11:22:33:44',
    },
    {
      name: 'networks: link_local_ips',
      service: { networks: { second: { link_local_ips: ['169.254.7.7'] } } },
      probe: 'ip -4 -o addr show eth0',
      seen: /169\.254\.7\.7/,
    },
    {
      name: 'networks: driver_opts of an endpoint',
      service: { networks: { second: { driver_opts: { 'com.docker.network.endpoint.ifname': 'lan3' } } } },
      probe: 'ls /sys/class/net | sort',
      seen: 'lan3\nlo',
    },
    {
      name: 'networks: driver and driver_opts of a network',
      service: { networks: ['second'] },
      probe: 'cat /sys/class/net/eth0/mtu',
      seen: '1380',
    },
    {
      name: 'networks: ipam aux_addresses are given to nobody',
      service: { networks: ['reserved'] },
      seen: ({ container }) => expect(container.endpoints[0]?.ipv4).toBe(`${RESERVED}.4`),
    },
    {
      name: 'networks: enable_ipv4: false leaves IPv6 alone',
      service: { networks: ['six'] },
      probe: 'ip -o addr show eth0',
      seen: ({ inside }) => {
        expect(inside).toContain('2::')
        expect(inside).not.toMatch(/ inet /)
      },
    },
  ],
})
