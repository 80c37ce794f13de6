"""One request, as people would write it, in many languages."""

from typing import Final

PROSE: Final = {
    "English": (
        "Could you look over the letter below before I send it tomorrow? I would like it to sound "
        "friendly but firm: we ordered forty chairs in March, thirty-one arrived, and nobody at "
        "the warehouse answers the phone. Please keep the dates, shorten the second paragraph and "
        "tell me if anything in it could be misunderstood. My colleague Margaret thinks we should "
        "threaten to cancel; I don't, at least not yet. What's the usual way to put that?"
    ),
    "German": (
        "Könnten Sie den untenstehenden Brief durchsehen, bevor ich ihn morgen abschicke? Er soll "
        "freundlich, aber bestimmt klingen: Wir haben im März vierzig Stühle bestellt, "
        "einunddreißig sind angekommen, und im Lager geht niemand ans Telefon. Bitte behalten Sie "
        "die Daten bei, kürzen Sie den zweiten Absatz und weisen Sie mich auf Missverständliches "
        "hin. Meine Kollegin hält eine Kündigung des Rahmenvertrags für angemessen, ich dagegen "
        "nicht. Welche Formulierung ist in der Geschäftskorrespondenz dafür üblich?"
    ),
    "French": (
        "Pourriez-vous relire la lettre ci-dessous avant que je ne l'envoie demain ? Je voudrais "
        "qu'elle soit aimable mais ferme : nous avons commandé quarante chaises en mars, trente et "
        "une sont arrivées, et personne ne répond au téléphone à l'entrepôt. Gardez les dates, "
        "raccourcissez le deuxième paragraphe et dites-moi si quelque chose prête à confusion. Ma "
        "collègue pense qu'il faudrait menacer d'annuler ; moi, pas encore."
    ),
    "Spanish": (
        "¿Podría revisar la carta de abajo antes de que la envíe mañana? Me gustaría que sonara "
        "amable pero firme: pedimos cuarenta sillas en marzo, llegaron treinta y una y en el "
        "almacén nadie contesta al teléfono. Mantenga las fechas, acorte el segundo párrafo y "
        "avíseme si algo puede malinterpretarse. Mi compañera cree que deberíamos cancelar."
    ),
    "Portuguese": (
        "Você poderia revisar a carta abaixo antes que eu a envie amanhã? Gostaria que soasse "
        "simpática, mas firme: encomendamos quarenta cadeiras em março, chegaram trinta e uma, e "
        "ninguém atende o telefone no armazém. Mantenha as datas, encurte o segundo parágrafo e "
        "diga-me se algo pode ser mal interpretado. Minha colega acha que devemos cancelar."
    ),
    "Italian": (
        "Potrebbe rileggere la lettera qui sotto prima che la spedisca domani? Vorrei che suonasse "
        "gentile ma decisa: abbiamo ordinato quaranta sedie a marzo, ne sono arrivate trentuno e "
        "al magazzino nessuno risponde al telefono. Mantenga le date, accorci il secondo paragrafo "
        "e mi dica se qualcosa può essere frainteso."
    ),
    "Dutch": (
        "Zou u de onderstaande brief willen nakijken voordat ik hem morgen verstuur? Hij moet "
        "vriendelijk maar beslist klinken: we hebben in maart veertig stoelen besteld, er zijn er "
        "eenendertig aangekomen en bij het magazijn neemt niemand de telefoon op. Houd de data "
        "aan, kort de tweede alinea in en zeg het me als iets verkeerd begrepen kan worden."
    ),
    "Swedish": (
        "Skulle du kunna läsa igenom brevet nedan innan jag skickar det i morgon? Det ska låta "
        "vänligt men bestämt: vi beställde fyrtio stolar i mars, trettioen kom fram och ingen på "
        "lagret svarar i telefon. Behåll datumen, korta andra stycket och säg till om något kan "
        "missförstås. Min kollega tycker att vi ska hota med att avbeställa."
    ),
    "Finnish": (
        "Voisitko lukea alla olevan kirjeen ennen kuin lähetän sen huomenna? Sen pitäisi kuulostaa "
        "ystävälliseltä mutta päättäväiseltä: tilasimme maaliskuussa neljäkymmentä tuolia, niistä "
        "saapui kolmekymmentäyksi, eikä varastolla vastata puhelimeen. Säilytä päivämäärät, "
        "lyhennä toista kappaletta ja kerro, jos jokin kohta voidaan ymmärtää väärin."
    ),
    "Hungarian": (
        "Át tudná nézni az alábbi levelet, mielőtt holnap elküldöm? Barátságosnak, de "
        "határozottnak kell lennie: márciusban negyven széket rendeltünk, harmincegy érkezett "
        "meg, és a raktárban senki sem veszi fel a telefont. Hagyja meg a dátumokat, rövidítse le "
        "a második bekezdést, és szóljon, ha valamit félre lehet érteni."
    ),
    "Polish": (
        "Czy mógłby Pan przejrzeć poniższy list, zanim go jutro wyślę? Ma brzmieć uprzejmie, ale "
        "stanowczo: w marcu zamówiliśmy czterdzieści krzeseł, dotarło trzydzieści jeden, a w "
        "magazynie nikt nie odbiera telefonu. Proszę zachować daty, skrócić drugi akapit i "
        "powiedzieć mi, jeśli coś można źle zrozumieć."
    ),
    "Czech": (
        "Mohl byste si přečíst níže uvedený dopis, než ho zítra odešlu? Má znít přátelsky, ale "
        "rozhodně: v březnu jsme objednali čtyřicet židlí, dorazilo jich třicet jedna a ve skladu "
        "nikdo nezvedá telefon. Ponechte data, zkraťte druhý odstavec a řekněte mi, kdyby se něco "
        "dalo špatně pochopit."
    ),
    "Turkish": (
        "Yarın göndermeden önce aşağıdaki mektubu gözden geçirebilir misiniz? Dostça ama kararlı "
        "bir dille yazılmış olmasını istiyorum: Mart ayında kırk sandalye sipariş ettik, otuz biri "
        "geldi ve depoda kimse telefonu açmıyor. Tarihleri koruyun, ikinci paragrafı kısaltın ve "
        "yanlış anlaşılabilecek bir şey varsa bana söyleyin."
    ),
    "Indonesian": (
        "Bisakah Anda memeriksa surat di bawah ini sebelum saya kirim besok? Saya ingin nadanya "
        "ramah tetapi tegas: kami memesan empat puluh kursi pada bulan Maret, tiga puluh satu "
        "sudah tiba, dan tidak ada seorang pun di gudang yang menjawab telepon. Pertahankan "
        "tanggalnya dan persingkat paragraf kedua."
    ),
    "Vietnamese": (
        "Bạn có thể xem lại lá thư dưới đây trước khi tôi gửi vào ngày mai không? Tôi muốn nó nghe "
        "thân thiện nhưng dứt khoát: chúng tôi đã đặt bốn mươi chiếc ghế vào tháng Ba, ba mươi mốt "
        "chiếc đã đến và không ai ở kho trả lời điện thoại. Hãy giữ nguyên ngày tháng, rút ngắn "
        "đoạn thứ hai và cho tôi biết nếu có gì dễ gây hiểu lầm."
    ),
    "Russian": (
        "Не могли бы вы просмотреть письмо ниже, прежде чем я отправлю его завтра? Оно должно "
        "звучать дружелюбно, но твёрдо: в марте мы заказали сорок стульев, пришёл тридцать один, и "
        "на складе никто не берёт трубку. Оставьте даты, сократите второй абзац и скажите, если "
        "что-нибудь можно понять неправильно. Коллега считает, что пора отказаться от заказа."
    ),
    "Ukrainian": (
        "Чи не могли б ви переглянути лист нижче, перш ніж я надішлю його завтра? Він має звучати "
        "дружньо, але твердо: у березні ми замовили сорок стільців, прибув тридцять один, і на "
        "складі ніхто не відповідає на дзвінки. Залиште дати, скоротіть другий абзац і скажіть, "
        "якщо щось можна зрозуміти неправильно."
    ),
    "Greek": (
        "Θα μπορούσατε να κοιτάξετε την παρακάτω επιστολή πριν τη στείλω αύριο; Θέλω να ακούγεται "
        "φιλική αλλά αποφασιστική: τον Μάρτιο παραγγείλαμε σαράντα καρέκλες, έφτασαν τριάντα μία "
        "και στην αποθήκη κανείς δεν απαντά στο τηλέφωνο. Κρατήστε τις ημερομηνίες και συντομεύστε "
        "τη δεύτερη παράγραφο."
    ),
    "Hebrew": (
        "האם תוכל לעבור על המכתב שלהלן לפני שאשלח אותו מחר? הייתי רוצה שיישמע ידידותי אך תקיף: "
        "הזמנו ארבעים כיסאות בחודש מרץ, שלושים ואחד הגיעו, ואיש במחסן אינו עונה לטלפון. נא לשמור "
        "על התאריכים, לקצר את הפסקה השנייה ולומר לי אם משהו עלול להיות מובן שלא כהלכה."
    ),
    "Arabic": (
        "هل يمكنك مراجعة الرسالة أدناه قبل أن أرسلها غدا؟ أريدها أن تبدو ودية ولكن حازمة: لقد "
        "طلبنا أربعين كرسيا في مارس، ووصل واحد وثلاثون، ولا أحد في المستودع يرد على الهاتف. يرجى "
        "الإبقاء على التواريخ واختصار الفقرة الثانية وإخباري إذا كان هناك ما قد يساء فهمه. "
        "زميلتي ترى أن نهدد بإلغاء الطلب، أما أنا فلا."
    ),
    "Persian": (
        "می‌توانید نامهٔ زیر را پیش از آنکه فردا بفرستم مرور کنید؟ می‌خواهم دوستانه ولی محکم باشد: "
        "در ماه مارس چهل صندلی سفارش دادیم، سی‌ویک عدد رسید و در انبار کسی به تلفن جواب نمی‌دهد. "
        "تاریخ‌ها را نگه دارید، بند دوم را کوتاه کنید و اگر چیزی مبهم است به من بگویید."
    ),
    "Hindi": (
        "क्या आप नीचे दिए गए पत्र को देख सकते हैं, इससे पहले कि मैं इसे कल भेजूँ? मैं चाहता हूँ कि "
        "यह मित्रवत लेकिन दृढ़ लगे: हमने मार्च में चालीस कुर्सियाँ मँगवाई थीं, इकतीस पहुँचीं, और "
        "गोदाम में कोई फ़ोन नहीं उठाता। कृपया तारीखें वैसी ही रखें, दूसरा अनुच्छेद छोटा करें और "
        "बताएँ कि कहीं कोई ग़लतफ़हमी तो नहीं हो सकती।"
    ),
    "Bengali": (
        "আগামীকাল পাঠানোর আগে আপনি কি নিচের চিঠিটি একবার দেখে দিতে পারবেন? আমি চাই এটি বন্ধুসুলভ "
        "কিন্তু দৃঢ় শোনাক: আমরা মার্চ মাসে চল্লিশটি চেয়ার অর্ডার করেছিলাম, একত্রিশটি এসেছে, আর "
        "গুদামে কেউ ফোন ধরে না। তারিখগুলো রাখুন এবং দ্বিতীয় অনুচ্ছেদটি ছোট করুন।"
    ),
    "Tamil": (
        "நாளை அனுப்புவதற்கு முன் கீழே உள்ள கடிதத்தைப் பார்க்க முடியுமா? அது நட்பாகவும் உறுதியாகவும் "
        "இருக்க வேண்டும்: மார்ச் மாதத்தில் நாற்பது நாற்காலிகளுக்கு ஆர்டர் செய்தோம், முப்பத்தொன்று "
        "வந்தன, கிடங்கில் யாரும் தொலைபேசியை எடுப்பதில்லை."
    ),
    "Georgian": (
        "შეგიძლიათ გადახედოთ ქვემოთ მოცემულ წერილს, სანამ ხვალ გავგზავნი? მინდა, რომ მეგობრულად, "
        "მაგრამ მტკიცედ ჟღერდეს: მარტში ორმოცი სკამი შევუკვეთეთ, ოცდათერთმეტი მოვიდა და საწყობში "
        "ტელეფონს არავინ პასუხობს."
    ),
    "Chinese": (
        "我明天要把下面这封信寄出去，您能先帮我看一遍吗？我希望语气友好但坚定：我们三月份订了四十把椅子，"
        "只到了三十一把，仓库那边一直没有人接电话。请保留日期，缩短第二段，如果有什么地方可能引起误解，请告诉我。"
        "我的同事认为应该以取消订单相威胁，我觉得现在还不必。通常应该怎么说才合适？"
    ),
    "Traditional Chinese": (
        "我明天要把下面這封信寄出去，您能先幫我看一遍嗎？我希望語氣友好但堅定：我們三月份訂了四十把椅子，"
        "只到了三十一把，倉庫那邊一直沒有人接電話。請保留日期，縮短第二段，如果有什麼地方可能引起誤解，請告訴我。"
    ),
    "Japanese": (
        "明日お送りする前に、以下の手紙に目を通していただけますか。丁寧でありながらも毅然とした調子にしたいと"
        "思っています。三月に椅子を四十脚注文しましたが、届いたのは三十一脚だけで、倉庫に電話しても誰も出ません。"
        "日付はそのまま残し、第二段落を短くして、誤解を招きそうな箇所があれば教えてください。"
    ),
    "Korean": (
        "내일 보내기 전에 아래 편지를 한번 살펴봐 주시겠어요? 친절하면서도 단호하게 "
        "들렸으면 합니다. 3월에 의자 마흔 개를 주문했는데 서른한 개만 도착했고, "
        "창고에서는 아무도 전화를 받지 않습니다. 날짜는 그대로 두고 두 번째 단락을 줄여 "
        "주시고, 오해를 살 만한 부분이 있으면 알려 주세요. 동료는 취소하겠다고 해야 "
        "한다지만 저는 아직 그렇게 생각하지 않습니다."
    ),
    "Thai": (
        "ช่วยตรวจจดหมายด้านล่างนี้ก่อนที่ฉันจะส่งพรุ่งนี้ได้ไหม ฉันอยากให้ฟังดูเป็นมิตรแต่หนักแน่น "
        "เราสั่งเก้าอี้สี่สิบตัวในเดือนมีนาคม มาถึงสามสิบเอ็ดตัว และไม่มีใครที่โกดังรับโทรศัพท์เลย "
        "กรุณาคงวันที่ไว้ ย่อหน้าที่สองให้สั้นลง และบอกฉันหากมีอะไรที่อาจเข้าใจผิดได้"
    ),
}
