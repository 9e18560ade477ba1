/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * How a node's address shall be found, as the settings say it: "first-found",
 * "skip-interface=REGEX[,REGEX...]", "interface=REGEX[,REGEX...]", "can-reach=ADDRESS",
 * "cidr=NET[,NET...]", "kubernetes", an address, or "none". agent/detect.h finds it. Pure.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/err.h"

enum detect_method {
	DETECT_NONE,
	DETECT_FIRST_FOUND, /* of an interface that is not for containers, in order of index */
	DETECT_SKIP,	    /* the same, but for these interfaces */
	DETECT_INTERFACE,
	DETECT_CAN_REACH,
	DETECT_CIDR,
	DETECT_FIXED,	   /* this address; it must be there */
	DETECT_KUBERNETES, /* the first of these that is there: InternalIPs of the Node */
};
struct detect {
	enum detect_method method;
	char text[256];	       /* as given */
	struct addr target;    /* CAN_REACH, FIXED */
	struct cidr within[8]; /* CIDR; KUBERNETES: whole addresses, filled in by the agent */
	size_t n_within;
	bool is_default; /* nobody chose it */
};
int detect_parse(const char *text, uint8_t family, struct detect *out, struct err *e);

/* How well a link's name fits interface= or skip-interface=: 0 not; the earlier an expression, the higher; names
 * that are the expression's very text above all. */
unsigned int detect_rank_name(const struct detect *d, const char *name);
