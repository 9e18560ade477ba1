/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading back what agent/bird/config.c writes: a protocol's name begins a line, its routes are a line
 * each, a brace ends it. A text that somebody edited gives what can be read of it.
 */
#include "agent/bird/written.h"

#include <string.h>

#include "lib/mem.h"
#include "lib/text.h"

size_t bird_written_routes(const char *text, const char *protocol, enum family f, struct cidr **out)
{
	char begin[64], word[CIDR_TEXT];
	size_t room = 0;
	size_t n = 0;
	struct text t = TEXT_ON(begin);
	text_add(&t, "\nprotocol static roost_%s%c {\n", protocol, family_digit(f));
	const char *at = strstr(text, begin);
	const char *end = at ? strstr(at, "\n}") : NULL;
	*out = NULL;
	for (; at && at < end; at = strchr(at + 1, '\n')) {
		struct cidr c;
		struct err ignored; /* another line */
		if (strncmp(at, "\n\troute ", 8) != 0)
			continue;
		struct text w = TEXT_ON(word);
		text_add_bytes(&w, at + 8, strcspn(at + 8, " \n"));
		if (w.cut || cidr_parse(word, &c, &ignored) < 0 || c.addr.family != family_af(f))
			continue;
		*out = mem_grow(*out, &room, n, sizeof(**out));
		(*out)[n++] = c;
	}
	return n;
}
