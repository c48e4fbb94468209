import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  addressAt,
  addressBytes,
  addressFromBytes,
  addressValue,
  contains,
  formatSubnet,
  overlaps,
  parseAddress,
  parseAddressWithPrefix,
  parseSubnet,
  subnetOf,
} from './network-addresses.ts'

test('addresses survive both forms', () => {
  for (const text of ['0.0.0.0', '172.30.0.255', '255.255.255.255', '::', '::1', 'fd00::2', 'fe80::1:0:0:1'])
    for (const again of [
      addressFromBytes(addressBytes(text)),
      addressAt(text.includes(':') ? 6 : 4, addressValue(text)),
    ])
      assert.equal(again, text)
})

test('equal addresses become equal strings (RFC 5952)', () => {
  const forms = {
    'fd00::2': ['FD00:0:0:0:0:0:0:2', 'fd00:0000::0002', 'fd00::0.0.0.2'],
    '2001:db8::1:0:0:1': ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    '2001:db8:0:1:1:1:1:1': ['2001:db8::1:1:1:1:1'],
  }
  for (const [canonical, others] of Object.entries(forms))
    for (const other of others) assert.equal(parseAddress(other), canonical)
})

test('subnets', () => {
  const subnet = parseSubnet('172.30.4.0/22')
  assert.equal(addressAt(4, subnet.last), '172.30.7.255')
  assert.equal(formatSubnet(subnet), '172.30.4.0/22')
  assert.ok(contains(subnet, '172.30.7.255'))
  assert.ok(!contains(subnet, '172.30.8.0'))
  assert.ok(overlaps(subnet, parseSubnet('172.30.0.0/16')))
  assert.ok(!overlaps(subnet, parseSubnet('172.30.8.0/24')))
  const ula = parseSubnet('fd12:3456:789a:1::/64')
  assert.ok(contains(ula, 'fd12:3456:789a:1:ffff::1'))
  assert.ok(!contains(ula, '172.30.4.1'))
  assert.ok(!overlaps(ula, parseSubnet('0.0.0.0/0')))
  assert.ok(overlaps(ula, parseSubnet('fd00::/8')))
  assert.equal(formatSubnet(subnetOf('fd00::dead:beef', 120)), 'fd00::dead:be00/120')
  assert.equal(addressAt(4, parseSubnet('0.0.0.0/0').last), '255.255.255.255')
})

test('what is not an address is refused with its field and value', () => {
  const bad = ['', '1.2.3', '1.2.3.256', '1.2.3.0/33', '1.2.3.0/', 'fd00::/129', '1.2.3.0/2x', 'fe80::1%eth0/64']
  for (const text of bad) assert.throws(() => parseSubnet(text, 'subnets[0].cidr'), /subnets\[0\]\.cidr "/)
  assert.throws(() => parseAddress('fe80::1%eth0'), /not an IP address/)
  assert.throws(() => parseSubnet('10.0.0.7/24'), /the subnet is 10\.0\.0\.0\/24/)
  assert.deepEqual(parseAddressWithPrefix('FD00::7/64'), { address: 'fd00::7', prefix: 64 })
})
