/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The user of the driver "etcd:". A job LOGIN fetches a token when somebody waits for one; the
 * password is read from its file each time.
 *
 * A user who is refused, or may not do what is asked, is no failure of the endpoint: whoever waits for
 * a result gets it at once, watches are tried again from time to time, since somebody may mend it.
 * "Invalid token" is no refusal before a fresh token has not helped.
 */
#include "store/etcd_auth.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "lib/boot.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "store/etcd_endpoint.h"

#define PASSWORD_MAX 4096 /* bytes of its file */
#define DENIED_WAIT 5000  /* ms until a refused user is tried again */
#define DENIED_MAX 3	  /* fresh tokens that did not help */

bool etcd_auth_needs_login(const struct etcd_driver *d)
{
	return d->user && !d->token && !d->login_is_off;
}

/* The first line of the password's file. */
static int read_password(const struct etcd_driver *d, char out[PASSWORD_MAX + 1], struct err *e)
{
	out[0] = '\0';
	if (!d->password_file)
		return 0;
	CLEANUP_FREE char *text = NULL;
	size_t len = 0;
	CLEANUP_FD int fd = open(d->password_file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return err_set(e, EACCES, "cannot open %s: %s", d->password_file, strerror(errno));
	if (file_read_fd(fd, PASSWORD_MAX, &text, &len, e) < 0) {
		err_add(e, "the password in %s", d->password_file);
		return -EACCES;
	}
	text[strcspn(text, "\r\n")] = '\0';
	(void)text_copy(out, PASSWORD_MAX + 1, text);
	explicit_bzero(text, len);
	if (!json_is_utf8(out))
		return err_set(e, EACCES, "the password in %s is not UTF-8", d->password_file);
	return 0;
}

int etcd_auth_compose(const struct etcd_driver *d, struct text *body, struct err *e)
{
	char password[PASSWORD_MAX + 1];
	int r = read_password(d, password, e);
	text_add(body, "{\"name\":");
	etcd_add_quoted(body, d->user);
	text_add(body, ",\"password\":");
	etcd_add_quoted(body, password);
	text_add(body, "}");
	explicit_bzero(password, sizeof(password));
	return r;
}

void etcd_auth_failed(struct etcd_driver *d, struct etcd_job *j)
{
	etcd_endpoint_ok(d);
	if (d->user)
		err_add(&j->why, "etcd at %s refuses user \"%s\"", d->endpoints[j->endpoint],
			d->user);
	else
		err_add(&j->why, "etcd at %s refuses requests without a user",
			d->endpoints[j->endpoint]);
	if (j->kind == JOB_WATCH && !j->fail_fast) {
		store_trouble_set(&j->trouble, "%s", j->why.text);
		etcd_job_break_call(j);
		j->not_before_ms = boot_now_ms() + DENIED_WAIT;
	} else if (j->kind == JOB_PROBE) {
		etcd_job_drop(d, j);
	} else {
		etcd_job_fail(j, -EACCES);
	}
}

void etcd_auth_fail_waiting(struct etcd_driver *d)
{
	for (struct etcd_job *j = d->jobs; j; j = j->next) {
		if (j->state != JOB_WAITING || j->id == 0 ||
			(j->kind == JOB_WATCH && !j->fail_fast))
			continue;
		j->why = d->denied;
		etcd_job_fail(j, -EACCES);
	}
}

void etcd_auth_login_failed(struct etcd_driver *d, struct etcd_job *login)
{
	store_trouble_set(&d->trouble, "%s", login->why.text);
	d->denied = login->why;
	d->denied_until_ms = boot_now_ms() + DENIED_WAIT;
	d->not_before_ms = d->denied_until_ms;
	etcd_job_drop(d, login);
	etcd_auth_fail_waiting(d);
}

void etcd_auth_take(struct etcd_driver *d, struct etcd_job *j, struct text *body, long status)
{
	struct etcd_answer a;
	int error;
	enum etcd_verdict v = etcd_judge(body->buf, body->len, status, &a, &error, &j->why);
	if (v == ETCD_FINE && *a.token) {
		etcd_endpoint_ok(d);
		d->token = mem_strdup(a.token);
		d->token_serial++;
		etcd_job_drop(d, j);
	} else if (a.failed && strstr(a.message, "not enabled")) {
		etcd_endpoint_ok(d);
		d->login_is_off = true;
		etcd_job_drop(d, j);
	} else if (v == ETCD_DENIED || v == ETCD_FINAL) {
		err_add(&j->why, "etcd at %s refuses user \"%s\"", d->endpoints[j->endpoint],
			d->user);
		etcd_auth_login_failed(d, j);
	} else {
		if (v == ETCD_FINE)
			(void)err_set(&j->why, EBADMSG, "it gives no token");
		etcd_endpoint_failed(d, j, false, false);
	}
}

void etcd_auth_renew(struct etcd_driver *d, struct etcd_job *j)
{
	if (!d->user || ++j->denials > DENIED_MAX) {
		j->denials = 0;
		etcd_auth_failed(d, j);
		return;
	}
	if (j->token_serial == d->token_serial) { /* nobody got a new one in between */
		free(d->token);
		d->token = NULL;
		d->login_is_off = false;
	}
	if (j->kind == JOB_PROBE)
		etcd_job_drop(d, j);
	else
		etcd_job_break_call(j);
}
