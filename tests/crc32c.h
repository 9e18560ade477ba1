/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* CRC32c, bit by bit (RFC 9260, appendix A): the checksum of SCTP, whose bytes go on the wire lowest first. */
#include <stddef.h>
#include <stdint.h>

static inline uint32_t crc32c(const uint8_t *p, size_t n)
{
	uint32_t crc = ~0u;
	for (size_t i = 0; i < n; i++) {
		crc ^= p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	}
	return ~crc;
}
