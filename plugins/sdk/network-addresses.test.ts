import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  contains,
  formatIpv4,
  formatIpv4Subnet,
  ipv4Bytes,
  ipv4FromBytes,
  overlaps,
  parseIpv4,
  parseIpv4Subnet,
} from './network-addresses.ts'

test('addresses survive both forms, above 2^31 too', () => {
  for (const text of ['0.0.0.0', '10.0.0.1', '172.30.0.255', '255.255.255.255']) {
    assert.equal(formatIpv4(parseIpv4(text)), text)
    assert.equal(formatIpv4(ipv4FromBytes(ipv4Bytes(parseIpv4(text)))), text)
  }
})

test('subnets', () => {
  const subnet = parseIpv4Subnet('172.30.4.0/22')
  assert.equal(formatIpv4(subnet.last), '172.30.7.255')
  assert.equal(formatIpv4Subnet(subnet), '172.30.4.0/22')
  assert.ok(contains(subnet, parseIpv4('172.30.7.255')))
  assert.ok(!contains(subnet, parseIpv4('172.30.8.0')))
  assert.ok(overlaps(subnet, parseIpv4Subnet('172.30.0.0/16')))
  assert.ok(!overlaps(subnet, parseIpv4Subnet('172.30.8.0/24')))
  assert.equal(parseIpv4Subnet('0.0.0.0/0').last, 0xffffffff)
})

test('what is not an address is refused with its field and value', () => {
  const bad = ['', '1.2.3', '1.2.3.256', '1.2.3.4/24', '1.2.3.0/33', '1.2.3.0/', 'fd00::/8', '1.2.3.0/2x']
  for (const text of bad) assert.throws(() => parseIpv4Subnet(text, 'subnets[0].cidr'), /subnets\[0\]\.cidr "/)
  assert.throws(() => parseIpv4Subnet('10.0.0.7/24'), /the subnet is 10\.0\.0\.0\/24/)
})
