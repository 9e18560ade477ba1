/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * IP addresses and prefixes of both families as plain values. Bytes are in network order;
 * an IPv4 address uses the first four and the rest are zero, so that values compare with
 * memcmp.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h> /* AF_INET, AF_INET6 */

#include "lib/err.h"

struct addr {
	uint8_t family; /* AF_INET or AF_INET6; 0 is no address */
	uint8_t bytes[16];
};

struct cidr {
	struct addr addr; /* may have host bits where the user of the value allows it */
	uint8_t len;	  /* prefix length, bits */
};

#define ADDR_TEXT 46 /* bytes of a formatted address, NUL included */
#define CIDR_TEXT 50

/* Strict: dotted quad without leading zeros, or RFC 4291 text without zone. -EINVAL. */
int addr_parse(const char *s, struct addr *out, struct err *e);
char *addr_format(const struct addr *a, char out[ADDR_TEXT]); /* returns out */
/* Its text, which lives as long as the block that it stands in. */
#define ADDR_STRING(a) addr_format((a), (char[ADDR_TEXT]){0})

/* "ADDRESS/LEN"; the length is required. Host bits are kept: see cidr_has_host_bits(). -EINVAL. */
int cidr_parse(const char *s, struct cidr *out, struct err *e);
char *cidr_format(const struct cidr *c, char out[CIDR_TEXT]); /* returns out */
#define CIDR_STRING(c) cidr_format((c), (char[CIDR_TEXT]){0})

uint8_t addr_bits(const struct addr *a); /* 32 or 128 */
size_t addr_size(const struct addr *a);	 /* 4 or 16 */
bool addr_equal(const struct addr *a, const struct addr *b);
int addr_compare(const struct addr *a, const struct addr *b); /* IPv4 before IPv6, then by value */

/* The address n after a. The caller knows that it does not wrap. */
struct addr addr_plus(const struct addr *a, uint64_t n);

/* How far b is after a, same family; UINT64_MAX when it does not fit or b is before a. */
uint64_t addr_minus(const struct addr *b, const struct addr *a);

bool cidr_equal(const struct cidr *a, const struct cidr *b);
int cidr_compare(const struct cidr *a, const struct cidr *b); /* by address, then the shorter */
/* For sorting and searching elements that begin with an address or a prefix. */
int addr_compare_first(const void *a, const void *b);
int cidr_compare_first(const void *a, const void *b);
bool cidr_has_host_bits(const struct cidr *c);
struct cidr cidr_masked(const struct addr *a, uint8_t len); /* the prefix of that length around a */
struct addr cidr_last(const struct cidr *c);		    /* its last address */
struct cidr cidr_of_host(const struct addr *a);		    /* /32 or /128 */
bool cidr_contains(const struct cidr *c, const struct addr *a);
bool cidr_any_contains(const struct cidr *list, size_t n, const struct addr *a);
bool cidr_overlaps(const struct cidr *a, const struct cidr *b);
bool cidr_is_among(const struct cidr *list, size_t n, const struct cidr *c); /* equal to one */

/* Lower-case colon form; false unless it is a unicast, non-zero Ethernet address. */
#define MAC_TEXT 18
bool mac_parse(const char *s, uint8_t out[6]);
void mac_format(const uint8_t mac[6], char out[MAC_TEXT]);
