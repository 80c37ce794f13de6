"""Texts to count: ordinary ones as people and programs send, and hostile ones that are made to be
cut finely.  All are written for this, or are this repository's own.
"""

import base64
import hashlib
import json
import random
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bench.tokens.prose import PROSE

_ROOT: Final = Path(__file__).resolve().parents[2]

_RUST: Final = """\
use std::collections::HashMap;

/// Counts words, and forgets the rarest when there are too many of them.
#[derive(Debug, Default)]
pub struct Counter<'a> {
    counts: HashMap<&'a str, usize>,
    most: Option<usize>,
}

impl<'a> Counter<'a> {
    pub fn with_limit(most: usize) -> Self {
        Self { most: Some(most), ..Self::default() }
    }

    pub fn add(&mut self, line: &'a str) -> Result<(), std::num::TryFromIntError> {
        for word in line.split_whitespace().filter(|word| !word.is_empty()) {
            *self.counts.entry(word).or_insert(0) += 1;
        }
        if let Some(most) = self.most {
            while self.counts.len() > most {
                let rarest = self.counts.iter().min_by_key(|(_, &n)| n).map(|(&w, _)| w);
                if let Some(word) = rarest { self.counts.remove(word); }
            }
        }
        Ok(())
    }
}
"""
_C: Final = """\
#ifndef SCX_RINGBUFFER_H
#define SCX_RINGBUFFER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SCX_RINGBUFFER_VERSION_MAJOR 2
#define SCX_RINGBUFFER_FLAG_OVERWRITE (1u << 0)
#define SCX_RINGBUFFER_FLAG_SHARED (1u << 1)

typedef struct ScxRingBuffer ScxRingBuffer;
typedef void (*ScxFreeFunc)(void *, size_t);

SCX_API(ScxRingBuffer *) ScxRingBuffer_New(size_t capacity, uint32_t flags);
SCX_API(ScxRingBuffer *) ScxRingBuffer_FromMemory(void *, size_t, ScxFreeFunc);
SCX_API(void) ScxRingBuffer_Free(ScxRingBuffer *);
SCX_API(int) ScxRingBuffer_Push(ScxRingBuffer *, const uint8_t *, size_t);
SCX_API(ptrdiff_t) ScxRingBuffer_PopInto(ScxRingBuffer *, uint8_t *, size_t);
SCX_API(size_t) ScxRingBuffer_GetSize(const ScxRingBuffer *);
SCX_API(int) ScxRingBuffer_SetErrorFromErrno(ScxRingBuffer *, int);

#define ScxRingBuffer_GET_HEAD(op) (((ScxRingBuffer *)(op))->rb_head)
#define ScxRingBuffer_IS_EMPTY(op) (ScxRingBuffer_GET_HEAD(op) == NULL)

#ifdef __cplusplus
}
#endif
#endif /* !SCX_RINGBUFFER_H */
"""
_JAVA: Final = """\
package com.example.billing.invoice;

import java.math.BigDecimal;
import java.util.concurrent.ConcurrentHashMap;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.transaction.annotation.Transactional;

@Service
public class InvoiceReconciliationServiceImpl implements InvoiceReconciliationService {
    private static final Logger LOGGER = LoggerFactory.getLogger(InvoiceReconciliationService.class);
    private static final int MAX_RETRY_ATTEMPTS = 3;
    private final ConcurrentHashMap<CustomerId, InvoiceAggregate> invoiceCache;

    @Autowired
    public InvoiceReconciliationServiceImpl(InvoiceRepository invoiceRepository) {
        this.invoiceRepository = Objects.requireNonNull(invoiceRepository);
        this.invoiceCache = new ConcurrentHashMap<>();
    }

    @Override
    @Transactional(propagation = Propagation.REQUIRES_NEW, isolation = Isolation.SERIALIZABLE)
    public ReconciliationResult reconcileInvoice(CustomerId customerId, BigDecimal amountPaid) {
        return invoiceRepository.findByCustomerId(customerId)
            .map(invoice -> invoice.withOutstandingAmount(invoice.getTotalAmount().subtract(amountPaid)))
            .map(ReconciliationResult::fromInvoice)
            .orElseThrow(() -> new InvoiceNotFoundException(customerId, "NO_OPEN_INVOICE"));
    }
}
"""  # noqa: E501 (as such code is)
_CONSTANTS: Final = """\
    LOAD_FAST = 124
    STORE_GLOBAL = 97
    BUILD_TUPLE_UNPACK = 152
    JUMP_IF_FALSE_OR_POP = 111
    GET_AWAITABLE = 73
    SETUP_FINALLY = 122
    DELETE_SUBSCR = 61
    BINARY_TRUE_DIVIDE = 27
    INPLACE_XOR = 78
    YIELD_FROM = 72
    MAKE_CELL = 135
    END_ASYNC_FOR = 54
    PREP_RERAISE_STAR = 88
    CHECK_EG_MATCH = 37
    KW_NAMES = 172
    COPY_FREE_VARS = 149
"""
_SQL: Final = """\
SELECT account.id, account.email, date_trunc('hour', request.admitted_at) AS hour,
       count(*) FILTER (WHERE request.status = 'settled') AS answered, sum(request.tokens) AS tokens
  FROM requests request JOIN accounts account ON account.id = request.account_id
 WHERE request.admitted_at >= now() - INTERVAL '7 days' AND account.tier <> 'visitor'
 GROUP BY 1, 2, 3 HAVING sum(request.tokens) > 10000 ORDER BY tokens DESC LIMIT 50;
"""


def _read(path: str, most: int = 6_000) -> str:
    return (_ROOT / path).read_text()[:most]


def _bytes(length: int) -> bytes:
    """The same bytes each time, that look like any."""
    return b"".join(hashlib.sha256(bytes([at])).digest() for at in range(length // 32))


def _json(indent: int | None) -> str:
    rows = [
        {
            "id": f"req_{_bytes(32).hex()[at : at + 20]}",
            "customer": {"name": "Anna Lindqvist", "country": "SE", "verified": at % 3 == 0},
            "items": [{"sku": f"CH-{1_000 + at}", "quantity": at, "unit_price": 49.9 + at}],
            "created_at": f"2026-11-{10 + at:02}T08:{at:02}:30Z",
            "note": None,
        }
        for at in range(12)
    ]
    return json.dumps(rows, indent=indent)


def ordinary() -> dict[str, str]:
    """What people and programs send, by kind."""
    data = _bytes(1_024)
    numbers = random.Random(1)  # the same each time
    table = "\n".join(
        ",".join(f"{numbers.uniform(-999, 9_999):.2f}" for _ in range(6)) for _ in range(40)
    )
    return PROSE | {
        "Python": _read("gateway/steps/admit.py"),
        "JavaScript": _read("static/scalix/moments.js") + _read("static/scalix/dashboard.js"),
        "HTML": _read("templates/base.html"),
        "CSS": _read("static/scalix/base.css"),
        "Rust": _RUST,
        "C": _C,
        "Java": _JAVA,
        "constants": _CONSTANTS,
        "SQL": _SQL,
        "JSON": _json(None),
        "indented JSON": _json(2),
        "Markdown": _read("docs/benchmarks.md"),
        "base64": base64.b64encode(data).decode(),
        "hexadecimal": data.hex(),
        "digits": str(int.from_bytes(data, "big")),
        "numbers": table,
    }


def hostile() -> dict[str, str]:
    """What is made to be cut finely by a tokenizer that isn't cl100k, by kind."""
    chance = random.Random(2)

    def draw(first: int, last: int) -> str:
        picked = (chr(chance.randint(first, last)) for _ in range(1_500))
        return "".join(one for one in picked if unicodedata.category(one) not in ("Cs", "Cn"))

    def spaced(of: Callable[[], str], times: int = 400) -> str:
        return " ".join(of() for _ in range(times))

    words = "internationalization misunderstanding telecommunications straightforwardness"
    return {
        "spaces": " " * 2_000,
        "newlines": "\n" * 2_000,
        "tabs": "\t" * 2_000,
        "one letter": "a" * 2_000,
        "one capital": "A" * 2_000,
        "dashes": "-" * 2_000,
        "equals signs": "=" * 2_000,
        "long words": f"{words} " * 40,
        "capitals": f"{words} ".upper() * 40,
        "words run together": f"{words} ".replace(" ", "") * 40,
        "mixed case": "".join(chance.choice((str.upper, str.lower))(one) for one in words * 20),
        "one letter words": spaced(lambda: chance.choice("abcdefghijklmnopqrstuvwxyz")),
        "one capital words": spaced(lambda: chance.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ")),
        "punctuation": "".join(chance.choice("!#$%&()*+,-./:;<=>?@[]^_{|}~") for _ in range(2_000)),
        "control characters": "".join(chr(chance.randint(1, 31)) for _ in range(1_500)),
        "emoji": draw(0x1F300, 0x1F64F),
        "one emoji": "🏴󠁧󠁢󠁳󠁣󠁴󠁿" * 60,
        "combining marks": "".join(f"a{draw(0x300, 0x36F)[:6]}" for _ in range(150)),
        "rare Chinese": draw(0x3400, 0x4DBF),
        "rare Korean": draw(0xAC00, 0xD7A3),
        "Ethiopic": draw(0x1200, 0x137F),
        "Cherokee": draw(0x13A0, 0x13FF),
        "Cuneiform": draw(0x12000, 0x12399),
        "Arabic digits": draw(0x660, 0x669),
        "full-width letters": draw(0xFF21, 0xFF5A),
        "mathematical letters": draw(0x1D400, 0x1D7FF),
        "musical signs": "\U0001d160" * 400,
        "letters and musical signs": "a" * 2_000 + "\U0001d160" * 5,
        "Hebrew points": "\ufb2c" * 400,
        "short rare capitals": "\n".join("\u023a\u0554\u0528\u04f6" for _ in range(300)),
        "ligatures": draw(0xFB00, 0xFB06),
        "random Unicode": draw(0x80, 0xFFFD),
        "a repeated token": " davidjl" * 400,
        "rare identifiers": " PolymorphicQuaternionicHyperparameterization" * 60,
    }


def of_length(text: str, size: int) -> str:
    """The text again and again, up to so many bytes."""
    repeated = text * (size // len(text.encode()) + 1)
    return repeated.encode()[:size].decode(errors="ignore")
