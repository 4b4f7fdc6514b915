"""Words that begin or end no term: articles, pronouns, prepositions, particles, auxiliaries, measure words. Lower case, by language."""

from __future__ import annotations

ENGLISH = """
a an the this that these those some any each every all both either neither no not such own same other another many much more most few several
i me my we us our you your he him his she her it its they them their who whom whose which what when where why how there here
of in on at by for with from to into onto upon over under about above below after before between among through during against within without
toward towards across along around behind beside beyond off out up down near since until till via per as than like despite throughout
and or but nor so yet if because although though while whereas unless whether then also too very just only even still again ever never always
often however therefore thus hence moreover is am are was were be been being do does did done doing have has had having will would shall should can
could may might must ought let lets s t d ll re ve m one two first later including became become called made went came
"""
CHINESE = """
的 地 得 了 着 过 是 在 有 和 与 及 或 而 但 也 都 又 就 才 还 再 很 更 最 太 不 没 没有 被 把 将
对 向 从 由 于 至 到 以 为 因 因为 所以 如果 但是 而且 并 并且 以及 之 其 此 该 这 那 哪 谁 我 你 您
他 她 它 我们 你们 他们 她们 它们 自己 这个 那个 这些 那些 这样 那样 这种 那种 什么 怎么 如何 个 一个 一种
一些 一名 一位 一次 两个 每 各 等 等等 者 所 则 且 若 如 使 让 给 可 可以 能 能够 会 要 应 必须 即 当
时 后 前 中 上 下 里 内 外 间 之后 之前 之间 之一 其中 其他 同时 由于 通过 根据 关于 对于 按照 作为 成为
称为 位于 包括 以上 以下 另 另外 曾 曾经 已 已经 正 正在 吗 呢 吧 啊 呀 嘛 么 说 道 去 来 年 月 日
时候 做 们 個 這 這個 這些 們 對 於 為 與 從 將 會 後 裡 內 間 時 來 還 過 著 沒有 因為 由於 並 並且
之間 之後 其後 讓 給 當 則 嗎 麼 說 這種 一個 一種 我們 他們 她們 它們 個人 應 經
"""


def function_words(language: str) -> list[str]:
    """The function words of `zh` or `en`. Chinese documents quote English, so the English ones belong to both; they come in three letter cases."""
    english = [form for word in ENGLISH.split() for form in (word, word.capitalize(), word.upper())]
    return list(dict.fromkeys([*english, *CHINESE.split()] if language == "zh" else english))
