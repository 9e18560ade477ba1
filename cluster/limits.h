/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Bounds of what a resource may hold.
 */
#include "lib/text.h"

#define RESOURCE_NAME TEXT_DNS_NAME
#define RESOURCE_LABEL 64	  /* bytes of a label's value, NUL included */
#define RESOURCE_SELECTOR 1024	  /* bytes of a selector in a resource */
#define RESOURCE_WHERE 256	  /* bytes of a place: "spec.reservedCIDRs[2]" */
#define RESOURCE_LIST 64	  /* entries of a list field at most */
#define RESOURCE_PASSWORD 81	  /* TCP MD5 keys have 80 bytes at most (linux/tcp.h) */
#define RESOURCE_EXITS 16	  /* entries of spec.exits at most */
#define RESOURCE_EXIT_CIDRS 16	  /* prefixes of one of them */
#define RESOURCE_UID 64		  /* bytes of metadata.uid, which may be any text */
#define RESOURCE_SERVICE_CIDRS 64 /* of each list of services' prefixes */
