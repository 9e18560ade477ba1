/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The two address families as an index: what there is once for each of them is an array
 * x[FAMILIES], and a loop goes from IPV4 to FAMILIES. Addresses (lib/addr.h) and the kernel name a
 * family by AF_INET and AF_INET6.
 */
#include <stdint.h>
#include <sys/socket.h>

enum family { IPV4, IPV6, FAMILIES };

/* af is AF_INET or AF_INET6. */
static inline enum family family_of(int af)
{
	return af == AF_INET ? IPV4 : IPV6;
}

static inline uint8_t family_af(enum family f)
{
	return f == IPV4 ? AF_INET : AF_INET6;
}

static inline char family_digit(enum family f)
{
	return f == IPV4 ? '4' : '6';
}

static inline uint8_t family_bits(enum family f) /* of an address */
{
	return f == IPV4 ? 32 : 128;
}

static inline const char *family_name(enum family f)
{
	return f == IPV4 ? "IPv4" : "IPv6";
}
