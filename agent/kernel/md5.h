/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the kernel does with TCP segments whose MD5 signature (RFC 2385) is wrong or missing: it drops
 * them, tells nobody, and counts them. The counters are of this network namespace.
 */
#include <stddef.h>
#include <stdint.h>

/* Out of the text of /proc/net/netstat; 0: it has no such counters. */
uint64_t md5_count(const char *netstat);

uint64_t md5_read_count(void);
