import t from 'tap';
import { decide } from '../../src/core/decide/decide.ts';
import { emptyState, type State } from '../../src/core/link/state.ts';
import { adviceFor } from '../../src/core/tell/advice.ts';
import { type Dump, readDump, workLink } from './machine.ts';

/** Every trouble that a decision names, with what to do about it. */
function troublesOf(dump: Dump, state: Partial<State>): string[] {
  const decision = decide({
    state: { ...emptyState('boot'), ...state },
    observed: readDump(dump),
    refused: new Set(),
  });
  return decision.troubles.flatMap(trouble => [trouble, `  ${adviceFor(trouble)}`]);
}

t.test('what a decision complains of comes with what to do', async t => {
  t.same(
    troublesOf({ routes: 'default via 192.168.1.1 dev wlp2s0 expires 60sec' }, { links: [workLink()] }),
    [
      'keeping default via 192.168.1.1 dev wlp2s0: `expires` cannot be given back to the kernel as it was, so our default stands beside it at a better metric',
      '  Nothing has to be done. To have it moved all the same, add that route without what cannot be given back',
    ],
  );
  t.same(
    troublesOf(
      { links: '2: wlp2s0: <BROADCAST> mtu 1500' },
      { savedDefaults: [{ family: 'inet', route: 'default via 192.168.1.1 dev wlp2s0' }] },
    ),
    [
      'the saved default via 192.168.1.1 dev wlp2s0 cannot be restored yet: its device is down or its gateway out of reach',
      '  Bring its device up and it goes back by itself; by hand: ip route add default via 192.168.1.1 dev wlp2s0',
    ],
  );
  t.same(troublesOf({}, { links: [workLink()] }), [
    'no uplink leads to 203.0.113.5: it is pinned when one appears',
    '  Bring the uplink up; `ppp-routectl explain 203.0.113.5` shows what there is',
  ]);
  t.same(troublesOf({}, { links: [{ ...workLink(), servers: [], unresolved: ['vpn.example.org'] }] }), [
    'ppp0: no address for the server vpn.example.org; the default stays where it is until the name resolves',
    "  See whether the name resolves (getent ahosts vpn.example.org), or give the server's address in the profile",
  ]);
  t.match(
    troublesOf({}, { links: [{ ...workLink(), unresolved: ['vpn.example.org'] }] }).join('\n'),
    'ppp0: no address for the server vpn.example.org; it is not pinned until the name resolves',
  );
});

t.test('what the rooms complain of comes with what to do', async t => {
  const rows: [trouble: string, advice: RegExp][] = [
    ['the configuration is not used, the last good one stays in force: a.toml:1: x', /^Correct the file/],
    [
      'the state cannot be written to /run/ppp-routed/state/state.json: ENOSPC: no space; no default is moved until it can be saved',
      /at \/run\/ppp-routed\/state\/state\.json;/,
    ],
    [
      '/run/ppp-routed/state/links/7.json is not JSON, or cut short (and 2 more files): no route of ours is removed and no default restored, because a link that must stay dark may be in it; ppp-routectl restore sets it aside',
      /^Run `ppp-routectl restore`: .* Or look at \/run\/ppp-routed\/state\/links\/7\.json and put it right, or `rm \/run\/ppp-routed\/state\/links\/7\.json`/,
    ],
    [
      '/run/ppp-routed/state/state.json cannot be read: not a plain file: no route of ours is removed and no default restored, because a link that must stay dark may be in it; ppp-routectl restore sets it aside',
      /^Run `ppp-routectl restore`: /,
    ],
    ['ip cannot be asked: spawn stdbuf ENOENT', /iproute2/],
    ['ip did not answer within 2000 ms: route show table main', /iproute2/],
    ['ip monitor ended (Killed): changes made by others are seen late', /started again by itself/],
    ['ip -6 route add default dev ppp0: Operation not permitted', /no leave to change routes/],
    [
      'ip route prepend 10.0.0.0/8 dev ppp0 proto 173: Invalid argument',
      /hand to see: ip route prepend 10\.0\.0\.0\/8 dev ppp0 proto 173;/,
    ],
    [
      'ip -6 rule add from all lookup 17300 priority 17320: Invalid argument',
      /hand to see: ip -6 rule add from all/,
    ],
    [
      'ppp0: eth0 does not forward, so it does not answer ARP for 10.99.0.1: sysctl net.ipv4.conf.eth0.forwarding=1',
      /^Run: sysctl net\.ipv4\.conf\.eth0\.forwarding=1$/,
    ],
    [
      'ppp0: no LAN has 10.99.0.1 in its prefix, so nobody there would ask for it; proxy-arp is not in force',
      /interface of the LAN/,
    ],
    ['something new', /journalctl/],
  ];
  for (const [trouble, advice] of rows) t.match(adviceFor(trouble), advice, trouble);
});
