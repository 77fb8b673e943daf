package synth

import "strings"

// A name is a name as its bearer writes it and in ASCII letters, as mail
// addresses and logins have it.
type name struct{ native, roman string }

// A form is how a given and a family name stand together: one of the flags
// of nameTable.
type form string

const (
	givenFirst  form = "w"
	familyFirst form = "f"
	joined      form = "j" // family name first, without a space
	mononym     form = "m" // there is no given name
)

// A culture is a pool of names and their form.
type culture struct {
	form          form
	given, family []name
}

// cultures are the pools of nameTable.
func cultures() []culture {
	var all []culture
	for line := range strings.Lines(strings.TrimSpace(nameTable)) {
		parts := strings.Split(strings.TrimSpace(line), " | ")
		all = append(all, culture{form(parts[0]), names(parts[1]), names(parts[2])})
	}
	return all
}

func names(list string) []name {
	var all []name
	for n := range strings.SplitSeq(list, ", ") {
		native, roman, ok := strings.Cut(n, "=")
		if !ok {
			roman = native
		}
		all = append(all, name{native, roman})
	}
	return all
}

// display puts a given and a family name together.
func (f form) display(given, family string) string {
	switch {
	case f == mononym || given == "":
		return family
	case f == joined:
		return family + given
	case f == familyFirst:
		return family + " " + given
	}
	return given + " " + family
}

// nameTable has a culture a line, "form | given names | family names". A name
// is written native=roman, or once if it is the same in ASCII letters. They
// are frequent names, to be put together at random.
const nameTable = `
w | James, Olivia, William, Charlotte, Henry, Amelia, George, Grace, Thomas, Emily, Oliver, Hannah, Samuel, Ruth, Daniel, Alice | Smith, Johnson, Carter, Bennett, Hughes, Walker, Wright, Turner, Parker, Cooper, Foster, Marsh, Whitfield, Ashworth, Fairbanks-Hill, Lloyd
w | Siobhán=Siobhan, Seán=Sean, Niamh, Ciarán=Ciaran, Aoife, Pádraig=Padraig, Róisín=Roisin, Declan, Gráinne=Grainne, Eoin | O'Brien, O'Connor, O'Sullivan, McCarthy, Ó Néill=O'Neill, Byrne, Gallagher, O’Shea=O'Shea, Fitzgerald, Ní Bhriain=NiBhriain
w | Marco, Giulia, Niccolò=Niccolo, Chiara, Matteo, Francesca, Alessandro, Elena, Davide, Lucia | D’Angelo=D'Angelo, Rossi, Dell'Acqua, Bianchi, De Luca=DeLuca, Conti, D'Amico, Esposito, Lo Presti=LoPresti, Marchetti
w | Jürgen=Juergen, Zoë=Zoe, Björn=Bjoern, Anneliese, Götz=Goetz, Käthe=Kaethe, Lukas, Mia, Heinz-Jürgen=Heinz-Juergen, Friederike | Müller=Mueller, Schäfer=Schaefer, Groß=Gross, von der Heide=vonderHeide, Weiß=Weiss, Krüger=Krueger, Leutheusser-Schnarrenberger, Böhm=Boehm, Jäger=Jaeger, Vogel
w | Chloé=Chloe, Jean-François=Jean-Francois, Amélie=Amelie, Gaëlle=Gaelle, Étienne=Etienne, Noémie=Noemie, Loïc=Loic, Anaïs=Anais, Benoît=Benoit, Maëlys=Maelys | Lefèvre=Lefevre, Dubois, L'Hôpital=L'Hopital, Garçon=Garcon, Bérénger=Berenger, d'Aubigné=d'Aubigne, Saint-Exupéry=Saint-Exupery, Moreau, Benoît-Lévy=Benoit-Levy, Roux
w | José=Jose, María=Maria, Íñigo=Inigo, Begoña=Begona, Ángel=Angel, Lucía=Lucia, Andrés=Andres, Inés=Ines, Raúl=Raul, Soledad | Hernández=Hernandez, Muñoz=Munoz, Núñez=Nunez, García Márquez=GarciaMarquez, Peña=Pena, Ibáñez=Ibanez, López=Lopez, Güell=Guell, Ordóñez=Ordonez, Vidal
w | João=Joao, Conceição=Conceicao, Antônio=Antonio, Inês=Ines, Luís=Luis, Beatriz, Estêvão=Estevao, Rafael, Renata, Thaís=Thais | Souza, Gonçalves=Goncalves, Araújo=Araujo, dos Santos=dosSantos, Magalhães=Magalhaes, Simões=Simoes, Falcão=Falcao, Brandão=Brandao, Ribeiro, Assunção=Assuncao
w | Åsa=Asa, Søren=Soeren, Bjørn=Bjoern, Märta=Marta, Øyvind=Oeyvind, Håkon=Hakon, Ásta=Asta, Þór=Thor, Sigríður=Sigridur, Jóhanna=Johanna | Ångström=Angstroem, Sørensen=Soerensen, Ødegård=Oedegaard, Sjöberg=Sjoeberg, Þorláksdóttir=Thorlaksdottir, Guðmundsson=Gudmundsson, Næss=Naess, Lindqvist, Kjær=Kjaer, Jónsdóttir=Jonsdottir
w | Katarzyna, Łukasz=Lukasz, Małgorzata=Malgorzata, Jiří=Jiri, Zdeněk=Zdenek, Božena=Bozena, Żaneta=Zaneta, Šárka=Sarka, Paweł=Pawel, Ľubica=Lubica | Woźniak=Wozniak, Kowalczyk, Dvořák=Dvorak, Brzęczyszczykiewicz=Brzeczyszczykiewicz, Němec=Nemec, Szczęsny=Szczesny, Kučera=Kucera, Ďurica=Durica, Krejčí=Krejci, Gałązka=Galazka
w | Ayşe=Ayse, Gökhan=Gokhan, İpek=Ipek, Çağla=Cagla, Şükrü=Sukru, Oğuz=Oguz, Işıl=Isil, Ümit=Umit | Yılmaz=Yilmaz, Öztürk=Ozturk, Çelik=Celik, Şahin=Sahin, Doğan=Dogan, Güneş=Gunes, Kılıç=Kilic, Ağaoğlu=Agaoglu
w | Zsófia=Zsofia, László=Laszlo, Ștefan=Stefan, Ioana, Gábor=Gabor, Mădălina=Madalina, Đorđe=Djordje, Željka=Zeljka, Čedomir=Cedomir, Ilze | Szőke=Szoke, Kovács=Kovacs, Țurcanu=Turcanu, Ionescu, Bartók=Bartok, Đurić=Djuric, Božić=Bozic, Bērziņš=Berzins, Žukauskas=Zukauskas, Õunapuu=Ounapuu
f | Hoa, Đức=Duc, Phượng=Phuong, Tuấn=Tuan, Ngọc=Ngoc, Thảo=Thao, Dũng=Dung, Huyền=Huyen, Quỳnh=Quynh, Việt=Viet | Nguyễn=Nguyen, Trần=Tran, Lê=Le, Phạm=Pham, Huỳnh=Huynh, Đặng=Dang, Vũ=Vu, Bùi=Bui, Đỗ=Do, Ngô=Ngo
w | Володимир=Volodymyr, Оксана=Oksana, Андрій=Andrii, Наталія=Nataliia, Тарас=Taras, Соломія=Solomiia, Ігор=Ihor, Мар'яна=Mariana, Юрій=Yurii, Ольга=Olha | Шевченко=Shevchenko, Коваленко=Kovalenko, Бондаренко=Bondarenko, Ткачук=Tkachuk, Лук'яненко=Lukianenko, Гончар=Honchar, Їжакевич=Yizhakevych, Мельник=Melnyk, Щербак=Shcherbak, Ярош=Yarosh
w | Анна=Anna, Дмитрий=Dmitry, Ёлка=Yolka, Сергей=Sergey, Мария=Maria, Фёдор=Fyodor, Юлия=Yulia, Георги=Georgi, Цветана=Tsvetana, Љиљана=Ljiljana | Живаго=Zhivago, Черных=Chernykh, Долгих=Dolgikh, Гроссман=Grossman, Шмидт=Schmidt, Ботев=Botev, Његош=Njegos, Толстых=Tolstykh, Бах=Bach, Хитров=Khitrov
w | Γιώργος=Giorgos, Ελένη=Eleni, Νίκος=Nikos, Αικατερίνη=Aikaterini, Θεόδωρος=Theodoros, Χριστίνα=Christina, Ξανθίππη=Xanthippi, Σπύρος=Spyros | Παπαδόπουλος=Papadopoulos, Οικονόμου=Oikonomou, Γεωργίου=Georgiou, Καζαντζάκης=Kazantzakis, Ψαρρός=Psarros, Ελύτης=Elytis, Ξενάκης=Xenakis, Τσάτσου=Tsatsou
w | أحمد=Ahmad, فاطمة=Fatima, عمر=Omar, ليلى=Layla, يوسف=Yusuf, نور=Nour, خالد=Khalid, سعاد=Suad, طارق=Tariq, هدى=Huda | الحسن=AlHassan, المصري=AlMasri, حداد=Haddad, بن علي=BenAli, الزهراني=AlZahrani, خوري=Khoury, عبد الله=Abdallah, درويش=Darwish, منصور=Mansour, القاسم=AlQasim
w | رضا=Reza, شیرین=Shirin, کیوان=Keyvan, پریسا=Parisa, گلناز=Golnaz, عائشہ=Ayesha, بلال=Bilal, زینب=Zainab | تهرانی=Tehrani, کیانی=Kiani, کاظمی=Kazemi, چوہدری=Chaudhry, پهلوان=Pahlavan, قریشی=Qureshi, گیلانی=Gilani, ژاله=Zhaleh
w | נועה=Noa, יוסף=Yosef, תמר=Tamar, דוד=David, שירה=Shira, אליעזר=Eliezer, רחל=Rachel, חיים=Chaim | כהן=Cohen, לוי=Levi, פרץ=Peretz, בן-דוד=Ben-David, צ'רניחובסקי=Tchernichovsky, שפירא=Shapira, גולן=Golan, בן-צבי=Ben-Zvi
w | अनन्या=Ananya, राहुल=Rahul, प्रिया=Priya, विक्रम=Vikram, श्रेया=Shreya, कृष्ण=Krishna, मीनाक्षी=Meenakshi, अर्जुन=Arjun, दीपिका=Deepika, सिद्धार्थ=Siddharth | शर्मा=Sharma, पटेल=Patel, श्रीवास्तव=Srivastava, देशमुख=Deshmukh, त्रिपाठी=Tripathi, ज्ञानेश्वर=Dnyaneshwar, मिश्रा=Mishra, क्षीरसागर=Kshirsagar, थापा=Thapa, वर्मा=Varma
w | অনির্বাণ=Anirban, তানিয়া=Tania, கவிதா=Kavitha, முருகன்=Murugan, లక్ష్మి=Lakshmi, ಅರುಣ್=Arun, മീര=Meera, ગીતા=Geeta | মুখোপাধ্যায়=Mukhopadhyay, চৌধুরী=Chowdhury, சுப்பிரமணியன்=Subramanian, அய்யர்=Iyer, రెడ్డి=Reddy, ಗೌಡ=Gowda, മേനോൻ=Menon, શાહ=Shah
j | 秀英=Xiuying, 伟=Wei, 建国=Jianguo, 雪梅=Xuemei, 子涵=Zihan, 浩然=Haoran, 欣怡=Xinyi, 志明=Zhiming, 丽=Li, 俊傑=Junjie | 王=Wang, 李=Li, 張=Zhang, 刘=Liu, 陈=Chen, 欧阳=Ouyang, 司马=Sima, 黃=Huang, 吕=Lyu, 諸葛=Zhuge
f | 花子=Hanako, 太郎=Taro, さくら=Sakura, 翔太=Shota, 美咲=Misaki, ジョン=Jon, 健一=Kenichi, 陽菜=Hina, 大輔=Daisuke, 結衣=Yui | 佐藤=Sato, 鈴木=Suzuki, 髙橋=Takahashi, 渡邊=Watanabe, 小鳥遊=Takanashi, 山﨑=Yamazaki, 五十嵐=Igarashi, 東海林=Shoji, 一=Ninomae, 斎藤=Saito
j | 민준=Minjun, 서연=Seoyeon, 지훈=Jihun, 하은=Haeun, 도윤=Doyun, 예린=Yerin, 현우=Hyeonu, 수빈=Subin, 빛나=Bitna, 슬기=Seulgi | 김=Kim, 이=Lee, 박=Park, 최=Choi, 정=Jung, 남궁=Namgung, 황보=Hwangbo, 선우=Seonwoo, 강=Kang, 윤=Yoon
w | สมชาย=Somchai, สมหญิง=Somying, ณัฐพล=Natthaphon, กัญญา=Kanya, วิชัย=Wichai, พิมพ์ชนก=Phimchanok, อรุณ=Arun, ธิดา=Thida | ใจดี=Jaidee, ศรีสุข=Srisuk, วงศ์สวัสดิ์=Wongsawat, ทองคำ=Thongkham, เทพหัสดิน ณ อยุธยา=ThephasadinNaAyutthaya, แสงอรุณ=Saengarun, บุญมี=Bunmi, จันทร์เพ็ญ=Chanphen
w | გიორგი=Giorgi, ნინო=Nino, Արամ=Aram, Անահիտ=Anahit, ქეთევან=Ketevan, Սուրեն=Suren | ბერიძე=Beridze, კობახიძე=Kobakhidze, Սարգսյան=Sargsyan, Պետրոսյան=Petrosyan, ჯავახიშვილი=Javakhishvili, Խաչատրյան=Khachatryan
w | ሰላም=Selam, ዳዊት=Dawit, ትዕግስት=Tigist, Adaeze, Olúwaṣeun=Oluwaseun, Thandiwe, Ngọzi=Ngozi, Sékou=Sekou, Wanjikũ=Wanjiku, Kwame | ተስፋዬ=Tesfaye, በቀለ=Bekele, Okonkwo, Adébáyọ̀=Adebayo, Ndlovu, Keïta=Keita, Kĩmani=Kimani, Mbeki, N'Diaye, Ogunbanjo
w | Kealoha, Keʻala=Keala, Māia=Maia, Tāne=Tane, Whetū=Whetu, Leilani | Kahananui, Kaʻaʻawa=Kaaawa, Ngāta=Ngata, Tāwhiri=Tawhiri, Parata, Kamakawiwoʻole=Kamakawiwoole
m | Suharto | Suharto, Wulandari, Megawati, Sukarno, Budi, Slamet, Aung, Thidar, Susilo, Sri, မြင့်=Myint, ཀརྨ=Karma
`
