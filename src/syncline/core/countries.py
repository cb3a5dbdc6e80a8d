"""Countries by the codes and names that directories hold, as ISO 3166-1 alpha-2 codes."""

from __future__ import annotations

from collections.abc import Mapping

from syncline.core.text import fold

# Alpha-2, alpha-3, then names and abbreviations in use, separated by `/`.
_TABLE = """
AD AND Andorra
AE ARE United Arab Emirates/UAE/Emirates
AF AFG Afghanistan
AG ATG Antigua and Barbuda
AI AIA Anguilla
AL ALB Albania
AM ARM Armenia
AO AGO Angola
AQ ATA Antarctica
AR ARG Argentina
AS ASM American Samoa
AT AUT Austria/Österreich/Oesterreich
AU AUS Australia
AW ABW Aruba
AX ALA Åland Islands/Aland Islands/Åland
AZ AZE Azerbaijan
BA BIH Bosnia and Herzegovina/Bosnia
BB BRB Barbados
BD BGD Bangladesh
BE BEL Belgium/Belgique/België/Belgien
BF BFA Burkina Faso
BG BGR Bulgaria
BH BHR Bahrain
BI BDI Burundi
BJ BEN Benin
BL BLM Saint Barthélemy/Saint Barthelemy/St. Barthélemy
BM BMU Bermuda
BN BRN Brunei Darussalam/Brunei
BO BOL Bolivia/Plurinational State of Bolivia/Bolivia, Plurinational State of
BQ BES Bonaire, Sint Eustatius and Saba/Caribbean Netherlands
BR BRA Brazil/Brasil
BS BHS Bahamas/The Bahamas
BT BTN Bhutan
BV BVT Bouvet Island
BW BWA Botswana
BY BLR Belarus
BZ BLZ Belize
CA CAN Canada
CC CCK Cocos (Keeling) Islands/Cocos Islands/Keeling Islands
CD COD Democratic Republic of the Congo/Congo, Democratic Republic of the/DR Congo/DRC/Congo-Kinshasa
CF CAF Central African Republic
CG COG Congo/Republic of the Congo/Congo-Brazzaville
CH CHE Switzerland/Schweiz/Suisse/Svizzera
CI CIV Côte d'Ivoire/Cote d'Ivoire/Ivory Coast
CK COK Cook Islands
CL CHL Chile
CM CMR Cameroon
CN CHN China/People's Republic of China/PRC
CO COL Colombia
CR CRI Costa Rica
CU CUB Cuba
CV CPV Cabo Verde/Cape Verde
CW CUW Curaçao/Curacao
CX CXR Christmas Island
CY CYP Cyprus
CZ CZE Czechia/Czech Republic/Česko/Česká republika
DE DEU Germany/Deutschland/Federal Republic of Germany/Allemagne
DJ DJI Djibouti
DK DNK Denmark/Danmark
DM DMA Dominica
DO DOM Dominican Republic
DZ DZA Algeria
EC ECU Ecuador
EE EST Estonia/Eesti
EG EGY Egypt
EH ESH Western Sahara
ER ERI Eritrea
ES ESP Spain/España
ET ETH Ethiopia
FI FIN Finland/Suomi
FJ FJI Fiji
FK FLK Falkland Islands/Falkland Islands (Malvinas)
FM FSM Micronesia/Federated States of Micronesia/Micronesia, Federated States of
FO FRO Faroe Islands/Faeroe Islands
FR FRA France
GA GAB Gabon
GB GBR United Kingdom/UK/Great Britain/Britain/England/Scotland/Wales/Northern Ireland/United Kingdom of Great Britain and Northern Ireland
GD GRD Grenada
GE GEO Georgia
GF GUF French Guiana
GG GGY Guernsey
GH GHA Ghana
GI GIB Gibraltar
GL GRL Greenland
GM GMB Gambia/The Gambia
GN GIN Guinea
GP GLP Guadeloupe
GQ GNQ Equatorial Guinea
GR GRC Greece/Hellas
GS SGS South Georgia and the South Sandwich Islands
GT GTM Guatemala
GU GUM Guam
GW GNB Guinea-Bissau
GY GUY Guyana
HK HKG Hong Kong/Hong Kong SAR/Hong Kong SAR China
HM HMD Heard Island and McDonald Islands
HN HND Honduras
HR HRV Croatia/Hrvatska
HT HTI Haiti
HU HUN Hungary/Magyarország
ID IDN Indonesia
IE IRL Ireland/Republic of Ireland/Éire
IL ISR Israel
IM IMN Isle of Man
IN IND India
IO IOT British Indian Ocean Territory
IQ IRQ Iraq
IR IRN Iran/Islamic Republic of Iran/Iran, Islamic Republic of
IS ISL Iceland/Ísland
IT ITA Italy/Italia/Italien/Italie
JE JEY Jersey
JM JAM Jamaica
JO JOR Jordan
JP JPN Japan
KE KEN Kenya
KG KGZ Kyrgyzstan
KH KHM Cambodia
KI KIR Kiribati
KM COM Comoros
KN KNA Saint Kitts and Nevis/St. Kitts and Nevis
KP PRK North Korea/Democratic People's Republic of Korea/Korea, Democratic People's Republic of/DPRK
KR KOR South Korea/Korea/Republic of Korea/Korea, Republic of
KW KWT Kuwait
KY CYM Cayman Islands
KZ KAZ Kazakhstan
LA LAO Laos/Lao People's Democratic Republic
LB LBN Lebanon
LC LCA Saint Lucia/St. Lucia
LI LIE Liechtenstein
LK LKA Sri Lanka
LR LBR Liberia
LS LSO Lesotho
LT LTU Lithuania/Lietuva
LU LUX Luxembourg/Luxemburg
LV LVA Latvia/Latvija
LY LBY Libya
MA MAR Morocco
MC MCO Monaco
MD MDA Moldova/Republic of Moldova/Moldova, Republic of
ME MNE Montenegro
MF MAF Saint Martin/Saint Martin (French part)/St. Martin
MG MDG Madagascar
MH MHL Marshall Islands
MK MKD North Macedonia/Macedonia
ML MLI Mali
MM MMR Myanmar/Burma
MN MNG Mongolia
MO MAC Macao/Macau/Macao SAR/Macau SAR
MP MNP Northern Mariana Islands
MQ MTQ Martinique
MR MRT Mauritania
MS MSR Montserrat
MT MLT Malta
MU MUS Mauritius
MV MDV Maldives
MW MWI Malawi
MX MEX Mexico/México
MY MYS Malaysia
MZ MOZ Mozambique
NA NAM Namibia
NC NCL New Caledonia
NE NER Niger
NF NFK Norfolk Island
NG NGA Nigeria
NI NIC Nicaragua
NL NLD Netherlands/The Netherlands/Nederland/Holland/Niederlande/Pays-Bas
NO NOR Norway/Norge
NP NPL Nepal
NR NRU Nauru
NU NIU Niue
NZ NZL New Zealand/Aotearoa
OM OMN Oman
PA PAN Panama/Panamá
PE PER Peru/Perú
PF PYF French Polynesia
PG PNG Papua New Guinea
PH PHL Philippines/The Philippines
PK PAK Pakistan
PL POL Poland/Polska
PM SPM Saint Pierre and Miquelon/St. Pierre and Miquelon
PN PCN Pitcairn/Pitcairn Islands
PR PRI Puerto Rico
PS PSE Palestine/State of Palestine/Palestine, State of
PT PRT Portugal
PW PLW Palau
PY PRY Paraguay
QA QAT Qatar
RE REU Réunion/Reunion
RO ROU Romania/România
RS SRB Serbia/Srbija
RU RUS Russia/Russian Federation
RW RWA Rwanda
SA SAU Saudi Arabia/KSA
SB SLB Solomon Islands
SC SYC Seychelles
SD SDN Sudan
SE SWE Sweden/Sverige
SG SGP Singapore
SH SHN Saint Helena, Ascension and Tristan da Cunha/Saint Helena/St. Helena
SI SVN Slovenia/Slovenija
SJ SJM Svalbard and Jan Mayen
SK SVK Slovakia/Slovak Republic/Slovensko
SL SLE Sierra Leone
SM SMR San Marino
SN SEN Senegal
SO SOM Somalia
SR SUR Suriname
SS SSD South Sudan
ST STP Sao Tome and Principe/São Tomé and Príncipe
SV SLV El Salvador
SX SXM Sint Maarten/Sint Maarten (Dutch part)
SY SYR Syria/Syrian Arab Republic
SZ SWZ Eswatini/Swaziland
TC TCA Turks and Caicos Islands
TD TCD Chad
TF ATF French Southern Territories
TG TGO Togo
TH THA Thailand
TJ TJK Tajikistan
TK TKL Tokelau
TL TLS Timor-Leste/East Timor
TM TKM Turkmenistan
TN TUN Tunisia
TO TON Tonga
TR TUR Türkiye/Turkey/Turkiye
TT TTO Trinidad and Tobago
TV TUV Tuvalu
TW TWN Taiwan/Taiwan, Province of China
TZ TZA Tanzania/United Republic of Tanzania/Tanzania, United Republic of
UA UKR Ukraine
UG UGA Uganda
UM UMI United States Minor Outlying Islands
US USA United States/United States of America/America
UY URY Uruguay
UZ UZB Uzbekistan
VA VAT Holy See/Vatican City/Vatican/Vatican City State
VC VCT Saint Vincent and the Grenadines/St. Vincent and the Grenadines
VE VEN Venezuela/Bolivarian Republic of Venezuela/Venezuela, Bolivarian Republic of
VG VGB British Virgin Islands/Virgin Islands, British/Virgin Islands (British)
VI VIR US Virgin Islands/Virgin Islands, U.S./Virgin Islands (U.S.)/United States Virgin Islands
VN VNM Vietnam/Viet Nam
VU VUT Vanuatu
WF WLF Wallis and Futuna
WS WSM Samoa
YE YEM Yemen
YT MYT Mayotte
ZA ZAF South Africa/RSA
ZM ZMB Zambia
ZW ZWE Zimbabwe
"""  # noqa: E501


def country_code(text: str) -> str | None:
    """Return the two letters of a country, None for text that names none.

    Takes both ISO codes, English names, names in some of the country's own languages and usual abbreviations,
    in any letter case, with or without dots (`U.S.A.`).
    """
    if len(text) > 80:
        return None
    return _CODES.get(_key(text))


def _key(text: str) -> str:
    return " ".join(fold(text).replace(".", "").replace("\u2019", "'").replace("&", "and").split())


def _codes() -> dict[str, str]:
    found: dict[str, str] = {}
    for line in _TABLE.strip().splitlines():
        alpha2, alpha3, names = line.split(" ", 2)
        for known in (alpha2, alpha3, *names.split("/")):
            found[_key(known)] = alpha2
    return found


_CODES: Mapping[str, str] = _codes()
