/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 128 random bits. The kernel's generator does not fail for so few bytes, once it is seeded.
 */
#include "cluster/nonce.h"

#include <sys/random.h>

#include "lib/err.h"
#include "lib/hash.h"

void nonce_make(char out[NONCE_TEXT])
{
	struct hash h; /* 16 bytes that print as hexadecimal digits */
	if (getrandom(h.bytes, sizeof(h.bytes), 0) != sizeof(h.bytes))
		err_abort("the kernel gives no random numbers");
	hash_format(&h, out);
}
