/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Base64. Files of keys break its lines, tokens use the alphabet that URLs can hold and leave the
 * padding out; so all of that is taken. What stands behind the padding is refused.
 */
#include "lib/base64.h"

#include <string.h>

static int base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+' || c == '-')
		return 62;
	return c == '/' || c == '_' ? 63 : -1;
}

ssize_t base64_decode(const char *text, size_t len, char *out)
{
	unsigned int bits = 0, held = 0, padding = 0;
	size_t n = 0;
	for (size_t i = 0; i < len; i++) {
		if (text[i] && strchr(" \t\r\n", text[i]))
			continue;
		if (text[i] == '=' && ++padding <= 2)
			continue;
		int digit = base64_digit(text[i]);
		if (digit < 0 || padding)
			return -1;
		bits = bits << 6 | (unsigned int)digit;
		held += 6;
		if (held < 8)
			continue;
		held -= 8;
		out[n++] = (char)(bits >> held & 0xff);
	}
	out[n] = '\0';
	return held >= 6 ? -1 : (ssize_t)n; /* a single digit is no byte */
}
