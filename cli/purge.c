/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a purge says. A name on a terminal is not to be trusted: of a link, of a pod, of a file.
 */
#include "cli/purge.h"

#include <stdarg.h>
#include <stdio.h>

#include "cli/output.h"
#include "lib/json.h"

static void tell(struct purge *p, const char *list, const char *word, const char *raw)
{
	char clean[700];
	output_clean(clean, sizeof(clean), raw);
	if (p->report)
		json_append(json_object_get(p->report, list), json_string(clean));
	else
		(void)printf("%s %s\n", word, clean);
}

bool purge_takes(struct purge *p, const char *fmt, ...)
{
	char text[700];
	va_list args;
	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	p->n_found++;
	tell(p, "removed", p->dry_run ? "would remove" : "removed", text);
	return !p->dry_run;
}

void purge_leaves(struct purge *p, const char *fmt, ...)
{
	char text[700];
	va_list args;
	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	tell(p, "left", "left", text);
}

void purge_failed(struct purge *p, const struct err *e)
{
	p->n_failed++;
	(void)output_error(e);
}
