/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Base64 (RFC 4648) as others wrote it. Pure.
 */
#include <stddef.h>
#include <sys/types.h>

/* Decodes len characters into out, which has room for 3 * len / 4 + 3 bytes, and terminates them.
 * Both alphabets, with or without padding; white space is passed over. Returns how many bytes, or
 * -1. */
ssize_t base64_decode(const char *text, size_t len, char *out);
